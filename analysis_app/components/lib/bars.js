// Horizontal bars: a name, a track, a value.

import { h } from "./dom.js";

/**
 * @param {Lab.Child} name
 * @param {Lab.Child[]} track
 * @param {Lab.Child[]} value
 * @param {Lab.Attributes} [attributes]
 */
export const bar = (name, track, value, attributes = {}) =>
  h("div", { class: "lab-bar", role: "listitem", ...attributes }, h("span", { class: "lab-bar-name" }, name),
    h("span", { class: "lab-bar-track" }, ...track), h("span", { class: "lab-bar-value" }, ...value));

/** From the left. @param {number} share of the track */
export const filled = (share, name = "lab-bar-now") => h("i", { class: name, style: { width: `${100 * share}%` } });

/** From the middle, to the left below 0. @param {number} share of half the track, −1 … 1 */
export const signed = (share) =>
  h("i", { class: share < 0 ? "lab-bar-minus" : "lab-bar-now",
    style: { [share < 0 ? "right" : "left"]: "50%", width: `${50 * Math.abs(share)}%` } });
