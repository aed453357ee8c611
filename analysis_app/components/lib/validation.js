// Validation losses: on the whole split after the last step, and on the way on a random subset of it. The two are
// different numbers: a value on the subset carries a star, and a curve is of one of them.

import { fixed } from "./dom.js";

/** @typedef {{ val_loss?: number | null, val_subset_loss?: number | null }} Losses */

/** What compares along a run: the subset's where it was read. @param {Losses} losses */
export const curveLoss = ({ val_loss: whole, val_subset_loss: subset }) => subset ?? whole ?? null;

/**
 * The loss on the whole split, else that on the subset, with a star.
 * @param {Losses | undefined} losses
 * @param {number} [digits]
 */
export function valText(losses, digits) {
  const { val_loss: whole, val_subset_loss: subset } = losses ?? {};
  return (whole ?? null) === null && (subset ?? null) !== null ? `${fixed(subset, digits)}*` : fixed(whole, digits);
}

/**
 * The curves of a loss chart: the subset's with its band, and the whole split's where it was read.
 * @param {(name: string) => import("./series.js").Series} get
 * @returns {Lab.Curve[]}
 */
export function validationOf(get) {
  const whole = get("val/loss"), subset = get("val/subset_loss");
  /** @type {Pick<Lab.Curve, "style" | "format">} */
  const look = { style: "dots", format: fixed };
  if (!subset.n) return [{ name: "val", data: whole, colour: "--lab-val", ...look }];
  const found = [{ name: "val, subset", data: subset, band: get("val/subset_loss_error"), colour: "--lab-val",
    ...look }];
  return whole.n ? [...found, { name: "val, whole split", data: whole, colour: "--lab-sample", ...look }] : found;
}
