// One text through the whole run, frame by frame: all frames lie here, so that dragging asks for nothing. Which one is
// shown changes as fast as the screen; the one selection follows it a few times a second.

import { get, messageOf, Refused, stream, wasAborted } from "./client.js";
import { contentOf, currentText, on, select, state } from "./store.js";

const WRITE_MS = 400; // between two writings of the step into the selection and the address
const PER_SECOND = 8; // frames, when it plays

/** @typedef {"start" | "frames" | "move" | "play"} What another text or run, a frame more or the end, another shown */
/** @typedef {Record<string, unknown>} Wanted a run and a text */
/**
 * What comes while frames are computed or read.
 * @typedef {Lab.PlayerStart & { event: "start" } | Omit<Lab.Frame, "view"> & { event: "frame" } | { event: "problem",
 *   problem: string } | { event: "end", learned: (number | null)[] }} Message
 */

class FramePlayer {
  /** @type {string | null} JSON of the run, the text and the hashes of the weights */
  key = null;
  /** @type {Wanted} */
  #wanted = {};
  #compute = false;
  /** @type {Lab.PlayerStart | null} what the server says before the first frame */
  start = null;
  /** @type {Lab.Frame[]} */
  frames = [];
  at = -1; // the one that is shown
  /** @type {"done" | "stopped" | "failed" | null} */
  ended = null;
  failure = "";
  /** @type {string[]} */
  problems = [];
  /** @type {(number | null)[]} the step at which each token was learned */
  learned = [];
  playing = false;

  /** @type {Set<(what: What) => unknown>} */
  #listeners = new Set();
  /** @type {AbortController | null} */
  #running = null;
  #begun = withoutComplaint();
  #first = withoutComplaint();
  #moving = false; // the next picture shows another frame
  #writing = 0;
  #timer = 0;
  /** @type {number | null} the step that was gone to */
  #aimed = null;
  /** @type {number | null} the step of the selection, as far as it is known here */
  #known = null;

  constructor() {
    on((changed) => this.#follow(changed));
  }

  /** @param {(what: What) => unknown} fn */
  on(fn) {
    this.#listeners.add(fn);
  }

  /** @param {What} what */
  #emit(what) {
    this.#listeners.forEach((fn) => fn(what));
  }

  get shown() {
    return this.frames[this.at] ?? null;
  }

  // ---------------------------------------------------------------- asking for frames

  /** What panels ask with, or a sentence where it has to be computed first. @returns {Lab.Question[] | string} */
  request = () => {
    const wanted = { run: state.selection.run, text: currentText() };
    if (!state.info?.steps.length) return "A published model is one set of weights: it has no time to go through.";
    if (this.key === keyOf(wanted) && this.start && !this.start.ready && !this.frames.length)
      return "Nothing is computed for this text yet: the button above does it.";
    return [["time", wanted]];
  };

  /** Until its first frame is there. @type {Lab.Ask} */
  ask = (_, wanted) => {
    this.load(wanted);
    return this.#first.promise;
  };

  /** Until the server has said what will come. @type {Lab.Ask} */
  begin = (_, wanted) => {
    this.load(wanted);
    return this.#begun.promise;
  };

  /** Compute what was not recorded; asked for by a click, since it may take the machine a while. */
  compute = () => this.load(this.#wanted, true);

  /** After it was stopped, or failed. */
  goOn = () => this.load(this.#wanted, this.#compute);

  /** What is there stays. */
  stop = () => this.#running?.abort();

  /** @param {Wanted} wanted */
  load(wanted, compute = false) {
    const key = keyOf(wanted), useful = this.frames.length || this.ended === null || this.ended === "done";
    if (this.key === key && !compute && useful) return;
    // Other weights of the same run: what was computed is computed for them too.
    const same = JSON.stringify(wanted) === JSON.stringify(this.#wanted);
    [this.#wanted, this.#compute] = [wanted, compute ||= same && this.#compute];
    this.stop();
    this.play(false);
    const mine = this.#running = new AbortController();
    [this.#begun, this.#first] = [withoutComplaint(), withoutComplaint()];
    Object.assign(this, { key, start: null, frames: [], at: -1, ended: null, failure: "", problems: [], learned: [] });
    stream("api/analyze/time", { ...wanted, compute, packed: true }, mine.signal, (message) => {
      if (mine === this.#running) this.#take(message);
    }).catch((error) => {
      if (mine === this.#running) this.#end(error);
    });
  }

  /** @param {Message} message */
  #take(message) {
    if (message.event === "problem") this.problems.push(message.problem);
    else if (message.event === "start") {
      this.start = message;
      this.#begun.resolve(null);
      this.#emit("start");
    } else if (message.event === "frame") {
      this.#add(message);
      this.#first.resolve(null);
      this.#emit("frames");
    } else {
      Object.assign(this, { ended: "done", learned: message.learned });
      if (this.start?.ready && !this.frames.length)
        this.#first.reject(new Refused(this.problems[0] ?? "there is no snapshot of this run"));
      this.#emit("frames");
    }
  }

  /** @param {unknown} error */
  #end(error) {
    const stopped = wasAborted(error);
    Object.assign(this, { ended: stopped ? "stopped" : "failed", failure: stopped ? "" : messageOf(error) });
    const told = stopped ? new Refused("stopped before the first snapshot was computed") : error;
    [this.#begun, this.#first].forEach(({ reject }) => reject(told));
    this.#emit("frames");
  }

  /** @param {Omit<Lab.Frame, "view">} message */
  #add(message) {
    if (!this.start) return;
    const { tokens, ids, score_names: names, score_explanations: words, score_chance: chance, period } = this.start;
    const [, layers, heads] = message.scores.shape, size = layers * heads;
    const scores = names.map((name, i) => ({ name, explanation: words[i], chance: chance[i], values: {
      shape: [layers, heads],
      data: message.scores.data.subarray(i * size, (i + 1) * size),
    } }));
    const { step, patterns } = message, source = { run: state.selection.run ?? "", step, tokens, ids };
    const frame = { ...message, view: { source, layer: null, head: null, patterns, scores, period } };
    const at = this.frames.findIndex((other) => other.step > step);
    this.frames.splice(at < 0 ? this.frames.length : at, 0, frame);
    names.forEach((_, i) => this.#sameScale(i));
    this.at = this.nearest(this.#aimed ?? state.selection.step ?? Infinity);
  }

  /** A score is coloured alike in all frames: as a share of 1, else of the largest there is. @param {number} i */
  #sameScale(i) {
    const scores = this.frames.map(({ view }) => view.scores[i]);
    const top = scores.reduce((most, { values }) => values.data.reduce((a, b) => (b > a ? b : a), most), 1);
    scores.forEach((score) => Object.assign(score, { top }));
  }

  // ---------------------------------------------------------------- moving through them

  /** The last frame at or before a step. @param {number} step */
  nearest(step) {
    const found = this.frames.findLastIndex((frame) => frame.step <= step);
    return this.frames.length ? Math.max(0, found) : -1;
  }

  /** @param {number} index */
  go(index) {
    this.play(false);
    this.#move(index);
  }

  /** @param {number} index */
  #move(index) {
    const to = Math.min(this.frames.length - 1, Math.max(0, index));
    if (to < 0) return;
    this.#aimed = this.frames[to].step; // also where it is shown already: frames that are still to come move nothing
    if (to === this.at) return;
    this.at = to;
    if (!this.#moving)
      window.requestAnimationFrame(() => {
        this.#moving = false;
        this.#emit("move");
      });
    this.#moving = true;
    this.#writing ||= window.setTimeout(() => this.#write(), WRITE_MS);
  }

  /** @param {number} step */
  goToStep(step) {
    this.go(this.nearest(step));
  }

  /** Into the one selection: the step, or where there are no weights of it the last before. */
  #write() {
    this.#writing = 0;
    const { shown } = this, step = shown && state.info?.steps.findLast((one) => one <= shown.step);
    if (typeof step !== "number") return;
    this.#known = step; // before it is told: the player is there already
    select({ step });
  }

  play(playing = !this.playing) {
    if (this.playing === playing) return;
    this.playing = playing;
    window.clearInterval(this.#timer);
    if (playing) {
      if (this.at === this.frames.length - 1) this.#move(0);
      this.#timer = window.setInterval(() => {
        if (this.at >= this.frames.length - 1) this.play(false);
        else this.#move(this.at + 1);
      }, 1000 / PER_SECOND);
    }
    this.#emit("play");
  }

  /** Another step was selected elsewhere: it is shown. @param {Lab.Changed} changed */
  #follow(changed) {
    const { step } = state.selection;
    if (changed.has("run")) this.#aimed = null;
    if (!changed.has("step") || step === this.#known) return;
    this.#known = step;
    window.clearTimeout(this.#writing);
    [this.#writing, this.#aimed] = [0, null];
    const to = this.nearest(step ?? Infinity);
    if (to < 0 || to === this.at) return;
    this.at = to;
    this.#emit("move");
  }
}

/** @param {Wanted} wanted */
const keyOf = (wanted) => JSON.stringify([wanted, contentOf(wanted)]);

/** A promise, its two ends, and no complaint of the browser where its failure is not waited for. */
function withoutComplaint() {
  const made = Promise.withResolvers();
  made.promise.catch(() => {});
  return made;
}

export const player = new FramePlayer();

/** The run's own losses, and the steps worth a look. @param {string | null} run @returns {Promise<Lab.TimelineView>} */
export const timeline = (run) => get(`api/runs/${encodeURIComponent(run ?? "")}/timeline?packed=true`);
