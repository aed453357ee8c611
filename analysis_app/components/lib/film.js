// One text through the whole run, frame by frame: all frames lie here, so that dragging asks nobody. The frame that is
// shown moves on its own, as fast as the screen; the one selection follows it a few times a second.

import { get, Refused, stream } from "./client.js";
import { currentText, on, select, state } from "./store.js";

const WRITE_MS = 400; // between two writings of the step into the selection and the address
const PER_SECOND = 8; // frames, when it plays

const listeners = new Set();
let controller = null, promises = null, moving = null, writing = null, timer = null, aimed = null, known = null;

export const film = {
  key: null, // JSON of { run, text }
  start: null, // what the server said before the first frame: tokens, steps, scores, notes
  frames: [], // { step, patterns, token_loss, scores, view }
  at: -1, // the one that is shown
  ended: null, // "done", "stopped" or "failed"
  failure: "",
  problems: [],
  learned: [],
  playing: false,
};

// `fn(what)`: "start" (another text, or run), "frames" (one more, or the end), "move" (another is shown), "play".
export function onFilm(fn) {
  listeners.add(fn);
}

const emit = (what) => listeners.forEach((fn) => fn(what));

// ---------------------------------------------------------------- asking for one

export const shown = () => film.frames[film.at] ?? null;

// For panels: what they ask with, or a sentence where nobody has asked to compute it yet.
export function request() {
  const wanted = { run: state.selection.run, text: currentText() };
  if (!state.info.steps.length) return "A published model is one set of weights: it has no time to go through.";
  if (film.key === JSON.stringify(wanted) && film.start && !film.start.ready && !film.frames.length)
    return "Nothing is computed for this text yet: the button above does it.";
  return [["time", wanted]];
}

// The film, once its first frame is there.
export const ask = (_, wanted) => load(wanted).first;

// The film, once the server has said what will come.
export const begin = (_, wanted) => load(wanted).began;

export function load(wanted, compute = false) {
  const key = JSON.stringify(wanted);
  if (film.key === key && !compute && (film.frames.length || film.ended === null || film.ended === "done"))
    return promises;
  controller?.abort();
  const mine = (controller = new AbortController());
  play(false);
  Object.assign(film, { key, start: null, frames: [], at: -1, ended: null, failure: "", problems: [], learned: [] });
  let started, begun, failed, failedFirst;
  promises = { began: new Promise((yes, no) => {
    [begun, failed] = [yes, no];
  }), first: new Promise((yes, no) => {
    [started, failedFirst] = [yes, no];
  }) };
  [promises.began, promises.first].forEach((promise) => promise.catch(() => {}));
  stream("api/analyze/time", { ...wanted, compute, packed: true }, mine.signal, (event) => {
    if (mine !== controller) return;
    if (event.event === "start") {
      film.start = event;
      begun(film);
      emit("start");
    } else if (event.event === "frame") {
      add(event);
      started(film);
      emit("frames");
    } else if (event.event === "problem") {
      film.problems.push(event.problem);
    } else if (event.event === "end") {
      Object.assign(film, { ended: "done", learned: event.learned });
      if (film.start.ready && !film.frames.length)
        failedFirst(new Refused(film.problems[0] ?? "there is no snapshot of this run"));
      emit("frames");
    }
  }).catch((error) => {
    if (mine !== controller) return;
    const stopped = error.name === "AbortError",
      told = stopped ? new Refused("stopped before the first snapshot was computed") : error;
    Object.assign(film, { ended: stopped ? "stopped" : "failed", failure: stopped ? "" : error.message });
    [failed, failedFirst].forEach((reject) => reject(told));
    emit("frames");
  });
  return promises;
}

// Compute what no bundle holds; asked for by a click, since it may take the machine a while.
export const compute = () => load(JSON.parse(film.key), true);

// What is there stays.
export const stop = () => controller?.abort();

function add(event) {
  const { tokens, ids, score_names: names, score_explanations: words, score_chance: chance } = film.start;
  const [, layers, heads] = event.scores.shape, size = layers * heads;
  const scores = names.map((name, i) => ({ name, explanation: words[i], chance: chance[i],
    values: { data: event.scores.data.subarray(i * size, (i + 1) * size) } })
  );
  const frame = { ...event,
    view: { source: { tokens, ids, step: event.step }, patterns: event.patterns, scores, period: film.start.period } };
  const at = film.frames.findIndex((other) => other.step > frame.step);
  film.frames.splice(at < 0 ? film.frames.length : at, 0, frame);
  sameScale();
  film.at = nearest(aimed ?? state.selection.step ?? Infinity);
}

// Every score is coloured alike in all frames: a share of 1, else the largest there is.
function sameScale() {
  film.start.score_names.forEach((_, i) => {
    const largest = film.frames.reduce(
      (top, { view }) => view.scores[i].values.data.reduce((a, b) => (b > a ? b : a), top),
      0,
    );
    film.frames.forEach(({ view }) => {
      view.scores[i].top = Math.max(1, largest);
    });
  });
}

// ---------------------------------------------------------------- moving through it

// The last frame at or before a step.
export function nearest(step) {
  let found = 0;
  film.frames.forEach((frame, i) => {
    if (frame.step <= step) found = i;
  });
  return film.frames.length ? found : -1;
}

export function go(index) {
  const to = Math.min(film.frames.length - 1, Math.max(0, index));
  if (to < 0 || to === film.at) return;
  film.at = to;
  aimed = film.frames[to].step;
  moving ??= window.requestAnimationFrame(() => {
    moving = null;
    emit("move");
  });
  writing ??= window.setTimeout(write, WRITE_MS);
}

export const goToStep = (step) => go(nearest(step));

// Into the one selection: the step, or where there are no weights of it the last before.
function write() {
  writing = null;
  const step = shown()?.step ?? null, steps = (state.info?.steps ?? []).filter((one) => one <= step);
  if (step === null || !steps.length) return;
  known = steps[steps.length - 1]; // before it is told: it is where the film is already
  select({ step: known });
}

export function play(on_ = !film.playing) {
  if (film.playing === on_) return;
  film.playing = on_;
  window.clearInterval(timer);
  if (on_) {
    if (film.at === film.frames.length - 1) go(0);
    timer = window.setInterval(() => {
      if (film.at >= film.frames.length - 1) play(false);
      else go(film.at + 1);
    }, 1000 / PER_SECOND);
  }
  emit("play");
}

on((changed) => {
  if (changed.has("run")) aimed = null;
  if (!changed.has("step") || state.selection.step === known) return;
  // Somebody else chose another step: the film follows.
  known = state.selection.step;
  window.clearTimeout(writing);
  [writing, aimed] = [null, null];
  const to = nearest(state.selection.step ?? Infinity);
  if (to < 0 || to === film.at) return;
  film.at = to;
  emit("move");
});

// The run's own losses, and the steps worth a look.
export const timeline = (run) => get(`api/runs/${encodeURIComponent(run)}/timeline?packed=true`);
