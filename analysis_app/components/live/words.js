// What is said of a run: its state, how long it takes, what happened. Plain text from plain values.

import { ago, count, fixed } from "../lib/dom.js";
import { brief, duration } from "../lib/scale.js";

// [word, tone]; tone: good, busy, amber, bad or quiet.
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

// The state in a word. `stopping`: it was asked to stop; `lost`: its loss is no number.
export function stateOf(status, { stopping = false, lost = false } = {}) {
  if (stopping && status.active) return { word: "stopping…", tone: "busy" };
  const [word, tone] = STATES[status.state] ?? [status.state, "quiet"];
  return { word, tone: lost && status.state === "running" ? "bad" : tone };
}

// How far: { share: 0 … 1 or null, text }.
export function progressOf({ step, total_steps: total, state }) {
  if (step === null || step === undefined)
    return { share: null,
      text: state === "starting" ? "getting ready: reading the text, making the model" : "no step yet" };
  if (!total) return { share: null, text: `step ${count(step)}` };
  const share = Math.min(1, step / total);
  return { share, text: `step ${count(step)} of ${count(total)} · ${Math.floor(100 * share)} %` };
}

// How long it took and takes. Pauses are in neither: `elapsed_seconds` is training alone, and a run that stands still
// has no end in sight, only work left.
export function timesOf(status, now = Date.now()) {
  const { elapsed_seconds: elapsed, eta_seconds: eta, state } = status, known = typeof eta === "number";
  const trained = typeof elapsed === "number" ? `trained ${duration(elapsed)}` : "";
  if (state === "running")
    return [trained, known
      ? `about ${rough(eta)} left${eta > 600 ? `, until ${hour(now + 1000 * eta)}` : ""}`
      : "time left not known yet"];
  if (state === "paused")
    return [trained, known ? `about ${rough(eta)} of training left once it goes on` : "standing still"];
  return [trained, ""];
}

// A guess is said as one: 3 h 20 min, not 3 h 21 min.
function rough(seconds) {
  const to = seconds > 7200 ? 600 : seconds > 600 ? 60 : seconds > 60 ? 10 : 1;
  return duration(Math.max(1, Math.round(seconds / to) * to));
}

const hour = (ms) =>
  new Date(ms).toLocaleString("en-GB", { ...(ms - Date.now() > 72e6 ? { weekday: "short" } : {}), hour: "2-digit",
    minute: "2-digit" });
export const clock = (seconds) => new Date(1000 * seconds).toLocaleTimeString("en-GB");

// Why nobody trains it and what is left of it: { tone, title, text, resume, log: the last lines its process wrote } or
// null where there is nothing to say.
export function troubleOf(status, lostAt) {
  const kept = status.checkpoint
    ? `Last checkpoint: step ${count(status.checkpoint.step)}, ${ago(status.checkpoint.wall)}.`
    : "It left no checkpoint: it cannot go on, only start again.";
  const reason = sentence(status.reason ?? status.message ?? "");
  if (lostAt !== null && status.active) {
    return { tone: "bad", title: `The loss is no number since step ${count(lostAt)}.`,
      text: "The curve keeps its last finite part. Stop it and go on from a checkpoint before that step with a lower "
        + `learning rate. ${kept}`, resume: null };
  }
  if (status.state === "stale") {
    const since = status.since ? `since ${clock(status.since)} (${ago(status.since)})` : "";
    return { tone: "amber", title: `No word from the trainer ${since}.`, text: `${reason} ${kept}`,
      resume: status.resume };
  }
  if (status.state === "failed" && status.recorded_state === null)
    return { tone: "bad", title: "It could not start.", text: reason, resume: null, log: status.start?.log };
  if (status.state === "failed") {
    const lost = lostAt === null
      ? ""
      : ` The loss was no number from step ${count(lostAt)} on; the curve keeps its last finite part.`;
    return { tone: "bad", title: "This run failed.", text: `${reason}${lost} ${kept}`, resume: status.resume,
      log: status.start?.log };
  }
  if (status.state === "stopped")
    return { tone: "quiet", title: `Stopped at step ${count(status.step)}.`, text: `${reason} ${kept}`,
      resume: status.resume };
  if (status.state === "broken") return { tone: "bad", title: "This run cannot be read.", text: reason, resume: null };
  return null;
}

export function sentence(text) {
  const said = String(text ?? "").trim();
  if (!said) return "";
  const first = said.charAt(0).toUpperCase() + said.slice(1);
  return /[.!?…]$/.test(first) ? first : `${first}.`;
}

// ---------------------------------------------------------------- events

const at = (step) => (Number.isInteger(step) ? ` at step ${count(step)}` : "");
const COMMANDS = { pause: "pause", resume: "go on", stop: "stop", checkpoint: "save", sample: "write a sample",
  lr: "change the learning rate" };
const DONE = {
  pause: (e) => `Paused${at(e.step)}.`,
  resume: (e) => `Going on${at(e.step)}.`,
  stop: (e) => `Stopped${at(e.step)}, saved.`,
  checkpoint: (e) => `Saved${at(e.step)}.`,
  sample: (e) => `Written${at(e.step)}.`,
  lr: (e) => `Learning rate × ${brief(factor(e) ?? NaN)}${at(e.step)}.`,
};
export const ASKING = { pause: "Pausing…", resume: "Going on…", stop: "Stopping and saving…", checkpoint: "Saving…",
  sample: "Writing…", lr: "Changing the learning rate…" };

const factor = (event) => [event.to, event.lr_scale, event.args?.value].find((value) => typeof value === "number");

// The trainer's answer to a command, in words.
export function answerOf(event) {
  if (event.kind === "command_refused") return `Refused: ${sentence(event.reason)}`;
  return (DONE[event.command] ?? (() => "Done."))(event);
}

const HAPPENED = {
  started: () => "Started",
  paused: () => "Paused",
  unpaused: (e) => `Goes on${typeof e.seconds === "number" ? ` after ${duration(e.seconds)}` : ""}`,
  completed: () => "Completed",
  resumed: () => "Resumed from a checkpoint",
  stopped: (e) => `Stopped${e.message ? `: ${e.message}` : ""}`,
  failed: (e) => `Failed${e.message ? `: ${e.message}` : ""}`,
  sample: () => "Wrote a sample",
  finding: (e) => e.what ?? "Finding",
  checkpoint: (e) =>
    `Saved a checkpoint${
      e.best
        ? ", the best so far"
        : e.checkpoint_kind && e.checkpoint_kind !== "regular"
        ? ` (${e.checkpoint_kind})`
        : ""
    }`,
  lr_changed: (e) => `Learning rate × ${brief(factor(e) ?? NaN)}`,
  rewound: (e) => `Went back${Number.isInteger(e.rewound_from) ? ` from step ${count(e.rewound_from)}` : ""}`,
  command_answered: (e) => `Did as asked: ${COMMANDS[e.command] ?? e.command}`,
  command_refused: (e) => `Refused to ${COMMANDS[e.command] ?? e.command}: ${e.reason ?? ""}`,
  instrument_failed: (e) => `An instrument failed: ${[e.instrument, e.message ?? e.error].filter(Boolean).join(": ")}`,
};
const SIGNS = { checkpoint: "checkpoint", sample: "sample", paused: "pause", finding: "finding" };

export const happened = (event) => (HAPPENED[event.kind] ?? (() => event.kind.replaceAll("_", " ")))(event);

// The events that stand in the chart, as markers; `place(step)` says where a step lies.
export function markersOf(events, place) {
  const found = [];
  for (const event of events) {
    const kind = SIGNS[event.kind], where = kind && Number.isInteger(event.step)
      ? place(event.kind === "finding" ? event.since ?? event.step : event.step)
      : null;
    if (where)
      found.push({ ...where, kind, event, title: happened(event),
        rows: [["step", count(event.step)], ["at", clock(event.wall)]] });
  }
  return found;
}

export const loss = (x) => fixed(x, 3);
