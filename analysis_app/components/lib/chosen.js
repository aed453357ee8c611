// Which runs Experiments lays over each other, in which colours, and which batch is read: in the address, as all else.

import { option, select, setOption, state } from "./store.js";

export const MOST = 8; // as many colours as can be told apart
const FIRST = 4; // of the newest, before anybody has chosen

export const METRIC = "train/loss";

// Runs that have curves: neither published models nor what cannot be read.
export const comparable = () => state.info.runs.filter((run) => run.kind === "run" && run.state !== "broken");

export function chosen() {
  const known = comparable().map((run) => run.name), given = option("runs", null);
  if (given !== null) return given.split(",").filter((name) => known.includes(name)).slice(0, MOST);
  const mine = known.filter((name) => name === state.selection.run);
  return [...mine, ...known.filter((name) => !mine.includes(name))].slice(0, FIRST);
}

export function toggle(name) {
  const now = chosen();
  setOption("runs", (now.includes(name) ? now.filter((other) => other !== name) : [...now, name]).join(","));
}

// What the panels ask for; one answer serves both.
export function request() {
  const runs = chosen();
  if (!runs.length) return "Choose a run in the list above: up to eight are laid over each other.";
  return [["overlay", { runs, metric: option("curve", METRIC), packed: true }]];
}

const slots = new Map();

// A run keeps its colour as long as it is chosen.
export function colourOf(name) {
  const now = chosen();
  [...slots.keys()].filter((other) => !now.includes(other)).forEach((other) => slots.delete(other));
  for (const one of now) {
    if (slots.has(one)) continue;
    const taken = new Set(slots.values());
    slots.set(one, [...Array(MOST).keys()].find((slot) => !taken.has(slot)));
  }
  return slots.has(name) ? `--lab-run-${slots.get(name)}` : null;
}

export const chosenBatch = () => Number(option("batch", null, (text) => /^\d{1,12}$/.test(text)) ?? NaN);

export function showBatch(run, batch) {
  setOption("batch", batch);
  if (run !== state.selection.run) select({ run, step: null, token: null });
}
