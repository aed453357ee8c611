// The shared wrapper of every panel: asks for what it shows, and wears one of five states,
//   empty    says what fills it
//   loading  nothing to show yet (seen after 200 ms)
//   stale    shows an earlier selection while the new one is computed (marked after 200 ms)
//   error    one sentence, an id, a way to try again
//   ready

import { analysis, longAnalysis } from "./answers.js";
import { messageOf, Refused } from "./client.js";
import { onTheme } from "./colour.js";
import { asOf, h, replace } from "./dom.js";
import { numbersOf } from "./export.js";
import { ask, asked, contentOf, on, sourcesOf, state } from "./store.js";

const PATIENCE = 200;

/**
 * @param {Element} element
 * @param {Lab.View} view
 * @returns {Lab.Panel}
 */
export const panel = (element, view) => new Panel(element, view);

class Panel {
  #asking = 0; // an answer to an earlier question than this no longer counts
  #width = 0;
  #label = ""; // of what is shown
  /** @type {string | null} the questions that are answered on the page */
  #shown = null;
  /** @type {string | null} those that were asked last */
  #wanted = null;
  /** @type {AbortController | null} */
  #running = null;
  /** @type {unknown} */
  #exported = [];
  /** @type {any[]} */
  #answers = [];
  #timer = 0;

  /** @param {Element} element @param {Lab.View} view */
  constructor(element, view) {
    this.view = view;
    this.root = part(element, ".lab-panel");
    this.body = part(this.root, ".lab-body");
    this.message = part(this.root, ".lab-message");
    this.badge = part(this.root, ".lab-badge");
    this.source = this.root.querySelector(".lab-source");
    numbersOf(this.root, () => (view.numbers ? view.numbers() : this.#exported));
    on((changed) => this.#follow(changed));
    onTheme(this.redraw);
    new ResizeObserver(() => this.#resized()).observe(this.root);
    this.root.dataset.mounted = "yes";
    this.refresh();
  }

  refresh = () => this.#follow(new Set());
  redraw = () => {
    if (this.#shown) this.view.draw?.(...this.#answers);
  };

  // ---------------------------------------------------------------- what is asked for

  /** @param {Lab.Changed} changed */
  #follow(changed) {
    const { view } = this;
    if (!this.root.offsetParent) return;
    if (state.failure) return this.#fail(state.failure);
    if (!state.info) return;
    if (state.opening) {
      if (this.#shown) this.#wear("stale", `showing ${this.#label}; opening ${state.selection.run}…`);
      return;
    }
    // The server may have been away: whoever failed asks again.
    if (this.root.dataset.state === "error" && ["link", "info"].some((name) => changed.has(name))) this.#wanted = null;
    const missing = whatIsMissing(view);
    const wanted = missing ?? view.request(state.selection);
    if (typeof wanted === "string") return this.#rest(wanted);
    if (!Array.isArray(wanted)) {
      const [label, act] = wanted.action;
      return this.#rest(wanted.empty, h("button", { class: "lab-button", onclick: act }, label));
    }
    const key = JSON.stringify([wanted, wanted.map(([, body]) => contentOf(body))]);
    if (key === this.#shown && key === this.#wanted) {
      if (this.root.dataset.state !== "ready") this.#wear("ready");
      if (view.redraws?.some((name) => changed.has(name))) this.redraw();
      else view.update?.(changed);
    } else if (key !== this.#wanted) this.#ask(wanted, key);
  }

  #resized() {
    if (this.body.clientWidth === this.#width) return;
    this.#width = this.body.clientWidth;
    if (!this.root.offsetParent) return;
    this.refresh();
    this.redraw();
  }

  /** @param {Lab.Question[]} questions @param {string} key */
  async #ask(questions, key) {
    const mine = this.#begin();
    this.#wanted = key;
    const { signal } = this.#running = new AbortController();
    const { told, started } = this.#progress(mine);
    this.#timer = window.setTimeout(started, PATIENCE);
    const ask = this.view.ask ?? analysis;
    try {
      const answers = await Promise.all(
        questions.map(([kind, content, long]) => long ? longAnalysis(kind, content, told, signal) : ask(kind, content)),
      );
      if (mine !== this.#asking) return;
      [this.#shown, this.#label] = [key, `step ${state.selection.step ?? "?"} of ${state.selection.run}`];
      this.#exported = questions.map(([kind, content], i) => ({ analysis: kind,
        asked: { ...content, packed: undefined }, answer: answers[i] })
      );
      this.#wear("ready");
      this.#say(questions);
      this.#answers = answers;
      if (this.view.show) this.view.show(...answers);
      else this.redraw();
      this.root.dataset.shown = String(Number(this.root.dataset.shown ?? 0) + 1);
    } catch (error) {
      if (mine !== this.#asking) return;
      this.#shown = null;
      this.#fail(error);
    } finally {
      if (mine === this.#asking) window.clearTimeout(this.#timer);
    }
  }

  /** Whatever was asked before no longer counts. */
  #begin() {
    window.clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = null;
    return ++this.#asking;
  }

  /** Which run, step and hash the picture is of, and when it was asked for. @param {Lab.Question[]} questions */
  #say(questions) {
    const whose = sourcesOf(questions.map(([, body]) => body)), now = new Date();
    if (!whose) return;
    this.root.dataset.source = asOf(whose, now);
    if (this.source) this.source.textContent = `${whose}, as of ${now.toLocaleTimeString("en-GB")}`;
  }

  // ---------------------------------------------------------------- the states

  /** How far question `mine` is, said once the patience has run out. @param {number} mine */
  #progress(mine) {
    let waited = false, words = "computing…";
    /** @type {HTMLElement | null} */
    let bar = null;
    const say = () => {
      if (mine !== this.#asking || !waited) return;
      if (this.#shown === null) this.#wear("loading", words, bar);
      else this.#wear("stale", `showing ${this.#label}; ${words}`);
    };
    const started = () => {
      waited = true;
      say();
    };
    /** @param {number} done @param {number} of */
    const told = (done, of) => {
      words = `computing… ${done} of ${of}`;
      bar = h("progress", { value: done, max: of, "aria-label": "how much is done" });
      say();
    };
    return { started, told };
  }

  /** @param {unknown} error */
  #fail(error) {
    const id = error instanceof Refused ? error.id : undefined;
    if (id === undefined) console.error(error);
    const again = h("button", { class: "lab-button", onclick: () => {
      this.#wanted = null;
      if (state.failure) ask();
      else this.refresh();
    } }, "Try again");
    const code = id ? h("code", { title: "the server’s log has the details under this id" }, `id ${id}`) : "";
    this.#wear("error", "", h("span", {}, h("b", {}, sentence(error)), " ", code, " ", again));
  }

  /** @param {string} text @param {Lab.Child} [action] */
  #rest(text, action = null) {
    this.#begin();
    [this.#shown, this.#wanted] = [null, null];
    this.#wear("empty", text, action);
  }

  /**
   * @param {"empty" | "loading" | "stale" | "error" | "ready"} name
   * @param {string} [text]
   * @param {Lab.Child} [extra]
   */
  #wear(name, text = "", extra = null) {
    this.root.dataset.state = name;
    this.badge.textContent = name === "stale" ? text : "";
    if (!["ready", "stale"].includes(name)) {
      this.source?.replaceChildren();
      delete this.root.dataset.source;
    }
    replace(this.message, name === "stale" || name === "ready" ? null : text, extra);
    if (name !== "ready") this.root.setAttribute("aria-busy", String(name === "loading" || name === "stale"));
    else this.root.removeAttribute("aria-busy");
  }
}

/** Why a panel cannot ask for anything; null where it can. @param {Lab.View} view */
function whatIsMissing(view) {
  const { runs, problem, model } = state.info ?? { runs: [], problem: null, model: null };
  if (!runs.length)
    return "There is no run in this folder yet. Start one: python -m lab fit --config quickstart";
  if (!view.anyModel && problem) return sentence(problem);
  if (!view.anyModel && !model) return "This run has no weights yet: the first snapshot is written at step 0.";
  return null;
}

/** A place that `analysis_app/page/panel.py` has made. @param {Element} element @param {string} selector */
export function part(element, selector) {
  const found = element.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the panel has no ${selector}`);
  return found;
}

/** @param {Element} element */
export const bodyOf = (element) => part(element, ".lab-body");
/** @param {Element} element */
export const actionsOf = (element) => part(element, ".lab-actions");

/** What redraws a panel about one token: another is pinned or previewed. */
export const TOKEN = ["token", "hover"];

/**
 * The usual request: one analysis of A, and the same of B where the panel compares.
 * @param {string} kind
 * @param {boolean} [compares]
 * @returns {(selection: Lab.Selection) => Lab.Question[]}
 */
export const of = (kind, compares = false) => (selection) => {
  /** @type {Lab.Question[]} */
  const questions = [[kind, asked()]];
  if (compares && selection.compare) questions.push([kind, asked("b")]);
  return questions;
};

/** @param {unknown} error */
function sentence(error) {
  const text = messageOf(error);
  return text.charAt(0).toUpperCase() + text.slice(1);
}
