// What is said of a run: its state, how long it takes, what happened. Plain text from plain values.

import { ago, count } from "../lib/dom.js";
import { brief, duration } from "../lib/scale.js";

/** @typedef {"good" | "busy" | "amber" | "bad" | "quiet"} Tone */
/** @type {Record<string, [word: string, tone: Tone]>} */
const STATES = {
  starting: ["starting…", "busy"],
  running: ["running", "good"],
  paused: ["paused", "amber"],
  stopped: ["stopped", "quiet"],
  completed: ["completed", "good"],
  failed: ["failed", "bad"],
  stale: ["no word from the trainer", "amber"],
  broken: ["unreadable", "bad"],
};

/**
 * The state in a word. `stopping`: it was asked to stop; `lost`: its loss is no number.
 * @param {Pick<Lab.Status, "state" | "active">} status
 * @returns {{ word: string, tone: Tone }}
 */
export function stateOf({ state, active }, { stopping = false, lost = false } = {}) {
  if (stopping && active) return { word: "stopping…", tone: "busy" };
  const [word, tone] = STATES[state] ?? [state, "quiet"];
  return { word, tone: lost && state === "running" ? "bad" : tone };
}

/** How far: a share of 1, where it is known, and in words. @param {Lab.Status} status */
export function progressOf({ step, total_steps: total, state }) {
  if (typeof step !== "number") {
    const text = state === "starting" ? "getting ready: reading the text, making the model" : "no step yet";
    return { share: null, text };
  }
  if (!total) return { share: null, text: `step ${count(step)}` };
  const share = Math.min(1, step / total);
  return { share, text: `step ${count(step)} of ${count(total)} · ${Math.floor(100 * share)} %` };
}

/**
 * How long it took and takes. Pauses are in neither: `elapsed_seconds` is training alone, and a run that stands still
 * has no end in sight, only work left.
 * @param {Lab.Status} status
 * @returns {[took: string, takes: string]}
 */
export function timesOf({ elapsed_seconds: elapsed, eta_seconds: eta, state }, now = Date.now()) {
  const took = typeof elapsed === "number" ? `trained ${duration(elapsed)}` : "";
  const known = typeof eta === "number";
  if (state === "paused")
    return [took, known ? `about ${rough(eta)} of training left once it goes on` : "standing still"];
  if (state !== "running") return [took, ""];
  if (!known) return [took, "time left not known yet"];
  return [took, `about ${rough(eta)} left${eta > 600 ? `, until ${hour(now + 1000 * eta)}` : ""}`];
}

/** An estimate is said as one: 3 h 20 min, not 3 h 21 min. @param {number} seconds */
function rough(seconds) {
  const to = seconds > 7200 ? 600 : seconds > 600 ? 60 : seconds > 60 ? 10 : 1;
  return duration(Math.max(1, Math.round(seconds / to) * to));
}

/** @param {number} ms */
const hour = (ms) =>
  new Date(ms).toLocaleString("en-GB", { ...(ms - Date.now() > 72e6 ? { weekday: "short" } : {}), hour: "2-digit",
    minute: "2-digit" });
/** @param {number} seconds */
export const clock = (seconds) => new Date(1000 * seconds).toLocaleTimeString("en-GB");
/** With the day. @param {number} seconds */
export const when = (seconds) =>
  new Date(1000 * seconds).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });

/**
 * Why a run does not train and what is left of it, or what is odd about it; null where there is nothing to say.
 * @param {Lab.Status} status
 * @param {number | null} lostAt the step since which the loss is no number
 * @returns {Lab.Trouble | null}
 */
export function troubleOf(status, lostAt) {
  const { state, checkpoint, resume } = status, reason = sentence(status.reason ?? status.message);
  const kept = checkpoint
    ? `Last checkpoint: step ${count(checkpoint.step)}, ${ago(checkpoint.wall)}.`
    : "It left no checkpoint: it cannot go on, only start again.";
  if (lostAt !== null && status.active) {
    return { tone: "bad", title: `The loss is no number since step ${count(lostAt)}.`,
      text: "The curve keeps its last finite part. Stop it and go on from a checkpoint before that step with a lower "
        + `learning rate. ${kept}`, resume: null };
  }
  if (state === "stale") {
    const since = status.since ? `since ${clock(status.since)} (${ago(status.since)})` : "";
    return { tone: "amber", title: `No word from the trainer ${since}.`, text: `${reason} ${kept}`, resume };
  }
  if (state === "failed" && status.recorded_state === null)
    return { tone: "bad", title: "It could not start.", text: reason, resume: null, log: status.start?.log };
  if (state === "failed") {
    const lost = lostAt === null
      ? ""
      : ` The loss was no number from step ${count(lostAt)} on; the curve keeps its last finite part.`;
    return { tone: "bad", title: "This run failed.", text: `${reason}${lost} ${kept}`, resume, log: status.start?.log };
  }
  if (state === "stopped")
    return { tone: "quiet", title: `Stopped at step ${count(status.step)}.`, text: `${reason} ${kept}`, resume };
  if (state === "broken") return { tone: "bad", title: "This run cannot be read.", text: reason, resume: null };
  if (status.active && state !== "starting" && status.reason) // the trainer's clock is another
    return { tone: "quiet", title: reason, text: "", resume: null };
  return null;
}

/** With a capital and a full stop. @param {unknown} text */
export function sentence(text) {
  const said = String(text ?? "").trim(), first = said.charAt(0).toUpperCase() + said.slice(1);
  return !said || /[.!?…]$/.test(first) ? first : `${first}.`;
}

// ---------------------------------------------------------------- events

/** @param {Lab.RunEvent} event */
const at = ({ step }) => (Number.isInteger(step) ? ` at step ${count(step)}` : "");
/** @param {Lab.RunEvent} event */
const rate = ({ to, lr_scale: scale, args }) =>
  `Learning rate × ${brief([to, scale, args?.value].find((value) => typeof value === "number"))}`;

/**
 * Of each command: what it asks for, what is said until it is answered, and once it is done.
 * @type {Record<string, [what: string, asking: string, done: (event: Lab.RunEvent) => string]>}
 */
const COMMANDS = {
  pause: ["pause", "Pausing…", (e) => `Paused${at(e)}.`],
  resume: ["go on", "Going on…", (e) => `Going on${at(e)}.`],
  stop: ["stop", "Stopping and saving…", (e) => `Stopped${at(e)}, saved.`],
  checkpoint: ["save", "Saving…", (e) => `Saved${at(e)}.`],
  sample: ["write a sample", "Writing…", (e) => `Written${at(e)}.`],
  lr: ["change the learning rate", "Changing the learning rate…", (e) => `${rate(e)}${at(e)}.`],
};

/** @param {string} command */
export const asking = (command) => COMMANDS[command]?.[1] ?? "";
/** @param {Lab.RunEvent} event */
const asked = ({ command = "" }) => COMMANDS[command]?.[0] ?? command;

/** The trainer's answer to a command, in words. @param {Lab.RunEvent} event */
export function answerOf(event) {
  if (event.kind === "command_refused") return `Refused: ${sentence(event.reason)}`;
  return COMMANDS[event.command ?? ""]?.[2](event) ?? "Done.";
}

/** @param {unknown} text */
const colon = (text) => (text ? `: ${text}` : "");

/** @type {Record<string, (event: Lab.RunEvent) => string>} */
const HAPPENED = {
  started: () => "Started",
  paused: () => "Paused",
  unpaused: (e) => `Goes on${typeof e.seconds === "number" ? ` after ${duration(e.seconds)}` : ""}`,
  completed: () => "Completed",
  resumed: () => "Resumed from a checkpoint",
  stopped: (e) => `Stopped${colon(e.message)}`,
  failed: (e) => `Failed${colon(e.message)}`,
  sample: () => "Wrote a sample",
  finding: (e) => e.what ?? "Finding",
  checkpoint({ best, checkpoint_kind: kind }) {
    if (best) return "Saved a checkpoint, the best so far";
    return `Saved a checkpoint${kind && kind !== "regular" ? ` (${kind})` : ""}`;
  },
  lr_changed: rate,
  put_off: (e) => `Left out: ${e.reason ?? e.look}`,
  decided: (e) => `Decided: ${e.reason ?? e.what}`,
  rewound: (e) => `Went back${Number.isInteger(e.rewound_from) ? ` from step ${count(e.rewound_from)}` : ""}`,
  command_answered: (e) => `Did as asked: ${asked(e)}`,
  command_refused: (e) => `Refused to ${asked(e)}: ${e.reason ?? ""}`,
  instrument_failed: (e) => `An instrument failed: ${[e.instrument, e.message ?? e.error].filter(Boolean).join(": ")}`,
};
/** @type {Record<string, string>} */
const SIGNS = { checkpoint: "checkpoint", sample: "sample", paused: "pause", finding: "finding" };

/** @param {Lab.RunEvent} event */
export const happened = (event) => HAPPENED[event.kind]?.(event) ?? event.kind.replaceAll("_", " ");

/**
 * The events that stand in the chart, as markers.
 * @param {Lab.RunEvent[]} events
 * @param {(step: number) => Record<Lab.Axis, number> | null} place where a step lies
 */
export function markersOf(events, place) {
  /** @type {Lab.Marker[]} */
  const found = [];
  for (const event of events) {
    const { step } = event, kind = SIGNS[event.kind];
    if (!kind || !Number.isInteger(step) || step === null) continue;
    const where = place(event.kind === "finding" ? event.since ?? step : step);
    if (where)
      found.push({ ...where, kind, event, title: happened(event),
        rows: [["step", count(step)], ["at", clock(event.wall)]] });
  }
  return found;
}

/**
 * Where settings were changed on the way, as thin lines.
 * @param {Lab.Seam[]} seams
 * @param {(step: number) => Record<Lab.Axis, number> | null} place where a step lies
 * @returns {Lab.Marker[]}
 */
export function seamsOf(seams, place) {
  return seams.flatMap(({ step, changed }) => {
    const where = place(step);
    return where ? [{ ...where, kind: "seam", title: `Changed: ${changed}`, rows: [["step", count(step)]] }] : [];
  });
}
