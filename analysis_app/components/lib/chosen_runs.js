// Which runs Experiments lays over each other, in which colours, and which batch is read: in the address, as all else.

import { h } from "./dom.js";
import { option, select, setOption, state } from "./store.js";

export const MOST = 8; // as many colours as can be told apart
const FIRST = 4; // of the newest, before a choice was made

export const METRIC = "train/loss";

/** Runs that have curves: neither published models nor what cannot be read. */
export const comparable = () => (state.info?.runs ?? []).filter((run) => run.kind === "run" && run.state !== "broken");

export function chosen() {
  const known = comparable().map((run) => run.name), given = option("runs", null);
  if (given !== null) return given.split(",").filter((name) => known.includes(name)).slice(0, MOST);
  const mine = known.filter((name) => name === state.selection.run);
  return [...mine, ...known.filter((name) => !mine.includes(name))].slice(0, FIRST);
}

/** @param {string} name */
export function toggle(name) {
  const now = chosen();
  setOption("runs", (now.includes(name) ? now.filter((other) => other !== name) : [...now, name]).join(","));
}

/** What the panels ask for; one answer serves both. @returns {Lab.Question[] | string} */
export function request() {
  const runs = chosen();
  if (!runs.length) return "Choose a run in the list above: up to eight are laid over each other.";
  return [["overlay", { runs, metric: option("curve", METRIC), packed: true }]];
}

/** @type {Map<string, number>} */
const slots = new Map();

/** A run keeps its colour as long as it is chosen; null of one that is not. @param {string} name */
function slotOf(name) {
  const now = chosen();
  [...slots.keys()].filter((other) => !now.includes(other)).forEach((other) => slots.delete(other));
  for (const one of now) {
    const taken = new Set(slots.values());
    if (!slots.has(one)) slots.set(one, [...Array(MOST).keys()].find((slot) => !taken.has(slot)) ?? 0);
  }
  return slots.get(name) ?? null;
}

/** The variable of its colour. @param {string} name */
export const colourOf = (name) => (slotOf(name) === null ? "--lab-muted" : `--lab-run-${slotOf(name)}`);

/** @param {string} name */
export const swatchOf = (name) => h("i", { class: "lab-swatch", style: { background: `var(${colourOf(name)})` } });

/** NaN where none is chosen. */
export const chosenBatch = () => Number(option("batch", null, (text) => /^\d{1,12}$/.test(text)) ?? NaN);

/** @param {string | null} run @param {number} batch */
export function showBatch(run, batch) {
  setOption("batch", batch);
  if (run !== state.selection.run) select({ run, step: null, token: null });
}
