// All heads of all layers as thumbnails. Hover previews, click locks, Esc unlocks, double-click solos, arrows move.

import { longAnalysis } from "./lib/answers.js";
import { paintPattern } from "./lib/canvas.js";
import { idOf, messageOf, wasAborted } from "./lib/client.js";
import { colour } from "./lib/colour.js";
import { choice, count, fixed, h, hideTip, replace, showTip } from "./lib/dom.js";
import { arrow } from "./lib/grid.js";
import { actionsOf, of, panel } from "./lib/panel.js";
import { head } from "./lib/patterns.js";
import { asked, currentHead, lockHead, option, preview, selectHead, setOption, state } from "./lib/store.js";

const ABLATION = "Δ loss without it", OVER_VALIDATION = "Δ loss without it, over validation text";
const ABLATIONS = [ABLATION, OVER_VALIDATION], DEFAULT = "induction";
const RANDOM = ["previous token", "duplicate token", "induction"]; // measured on random tokens, not on the text

/** @typedef {Pick<Lab.View, "request" | "ask" | "numbers">} Source */
/** @typedef {{ button: HTMLButtonElement, canvas: HTMLCanvasElement, score: HTMLElement }} Tile */

/** @param {Element} element */
export const mount = (element) => headGrid(element, { request: of("attention"), ablates: true });

/**
 * The grid for a source whose numbers may change by themselves.
 * @param {Element} element
 * @param {Source & { ablates?: boolean }} source `ablates`: whether heads can be taken away there
 */
export const headGrid = (element, source) => new HeadGrid(element, source);

class HeadGrid {
  /** @type {Lab.AttentionView | null} */
  #view = null;
  /** @type {Lab.AblationView | null} */
  #ablation = null;
  /** @type {AbortController | null} */
  #running = null;
  /** @type {Tile[][]} of each layer */
  #tiles = [];
  #offered = ""; // the choices that stand there
  #metric = option("metric", DEFAULT);
  #grid = h("div", { class: "lab-heads", role: "grid", "aria-label": "attention heads, a row for each layer" });
  #legend = h("p", { class: "lab-note" });

  /** @param {Element} element @param {Source & { ablates?: boolean }} source */
  constructor(element, source) {
    this.element = element;
    this.ablates = source.ablates ?? false;
    this.panel = panel(element, { ...source, show: this.show, update: () => this.#mark(), draw: () => this.#paint() });
    replace(this.panel.body, this.#grid, this.#legend);
    this.refresh = this.panel.refresh;
  }

  /** @param {Lab.AttentionView} answer */
  show = (answer) => {
    [this.#view, this.#ablation] = [answer, null];
    this.#running?.abort();
    this.#build(answer);
    if (ABLATIONS.includes(this.#metric)) this.#ablate();
  };

  /** @param {Lab.AttentionView} view */
  #build(view) {
    const [layers, heads] = view.patterns.shape;
    this.#grid.style.setProperty("--heads", String(heads));
    if (this.#tiles.length !== layers || this.#tiles[0].length !== heads) {
      this.#tiles = Array.from({ length: layers }, (_, layer) =>
        Array.from({ length: heads }, (_, i) => this.#tile(layer, i)));
      replace(this.#grid, ...this.#tiles.map((row, layer) =>
        h("div", { class: "lab-heads-row", role: "row" },
          h("span", { class: "lab-heads-name", role: "rowheader" }, `layer ${layer}`), ...row.map((t) =>
            t.button
          ))
      ));
    }
    this.#offer([...view.scores.map((score) => score.name), ...(this.ablates ? ABLATIONS : [])]);
    this.#paint();
    this.#mark();
  }

  /** @param {string[]} names */
  #offer(names) {
    if (this.#metric !== "none" && !names.includes(this.#metric))
      this.#metric = names.includes(DEFAULT) ? DEFAULT : "none";
    // The same choices stay: a list that is open must not be taken away.
    if (this.#offered === (this.#offered = JSON.stringify([names, this.#metric]))) return;
    replace(actionsOf(this.element),
      choice("Show", [["none", "patterns only"], ...names.map((n) => /** @type {[string, string]} */ ([n, n]))],
        this.#metric, (name) => {
        this.#metric = name;
        setOption("metric", name, DEFAULT);
        if (ABLATIONS.includes(name)) this.#ablate();
        else this.#paintScores();
      }));
  }

  /** @param {number} layer @param {number} index @returns {Tile} */
  #tile(layer, index) {
    const canvas = h("canvas", { "aria-hidden": "true" }), score = h("span", { class: "lab-head-score" });
    const button = h("button", { class: "lab-head", role: "gridcell", data: { layer, head: index },
      onclick: (event) => {
        if (event.detail < 2) pick(layer, index);
      }, ondblclick: () => {
        selectHead(layer, index);
        this.element.closest(".lab-split")?.classList.toggle("lab-solo");
      }, onmouseenter: (event) => {
        preview({ layer, head: index });
        this.#tell(event, layer, index);
      }, onmouseleave: () => {
        preview({ layer: null, head: null });
        hideTip();
      }, onkeydown: (event) => this.#move(event, layer, index) }, canvas,
      h("span", { class: "lab-head-foot" }, h("span", {}, `${layer}.${index}`), " ", score));
    return { button, canvas, score };
  }

  /** @param {KeyboardEvent} event @param {number} layer @param {number} index */
  #move(event, layer, index) {
    const way = arrow(event);
    if (!way) return;
    event.preventDefault();
    const [toLayer, toHead] = [layer + way.row, index + way.column], tile = this.#tiles[toLayer]?.[toHead];
    if (!tile) return;
    selectHead(toLayer, toHead);
    tile.button.focus();
  }

  /** @param {(tile: Tile, layer: number, index: number) => void} fn */
  #each(fn) {
    this.#tiles.forEach((row, layer) => row.forEach((tile, index) => fn(tile, layer, index)));
  }

  #paint() {
    const view = this.#view;
    if (!view) return;
    const n = view.patterns.shape[2];
    this.#each(({ canvas }, layer, index) => {
      paintPattern(canvas, head(view, layer, index), n);
      canvas.style.imageRendering = n <= 96 ? "pixelated" : "auto";
    });
    this.#paintScores();
  }

  /** The score that colours the heads; null where none is chosen, or not computed yet. @returns {Lab.Score | null} */
  #score() {
    if (!ABLATIONS.includes(this.#metric)) {
      return this.#view?.scores.find((score) => score.name === this.#metric) ?? null;
    }
    if (!this.#ablation) return null;
    const { heads, mean_over: over, validation } = this.#ablation;
    if (this.#metric === OVER_VALIDATION) {
      return validation
        && { name: OVER_VALIDATION,
          explanation:
            `rise of the loss on ${validation.pieces} pieces of validation text, in nats per token, when the head’s `
            + "mean over other validation text takes its place", values: validation.heads,
          errors: validation.head_errors, chance: null };
    }
    const place = over ? `its mean over ${count(over)} tokens of validation text` : "zero";
    return { name: ABLATION, explanation: `rise of this text’s loss, in nats per token, when ${place} takes the head’s `
      + "place; below 0 the text is predicted better without it", values: heads, chance: null };
  }

  #paintScores() {
    const score = this.#score(), ablated = ABLATIONS.includes(this.#metric),
      data = score?.values.data ?? new Float32Array();
    const largest = Math.max(1e-6, ...data.map(Math.abs));
    const top = score?.top ?? (score && score.chance !== null && largest <= 1 ? 1 : largest);
    this.#each((tile, layer, index) => {
      const at = layer * this.#tiles[layer].length + index, value = data[at], name = `${layer}.${index}`;
      const error = score ? errorOf(score, at) : "";
      tile.score.textContent = score ? fixed(value, ablated ? 3 : 2) : "";
      tile.button.style.setProperty("--score", score
        ? (ablated ? colour("div", 0.5 + (0.5 * value) / top) : colour("warm", Math.abs(value) / top))
        : "transparent");
      // What is seen is part of what is heard: who says "click 1.3" means this one.
      tile.button.setAttribute("aria-label",
        `${name} ${tile.score.textContent}${score ? ` ${score.name}${error}` : ""}: layer ${layer}, head ${index}`);
      // Within two standard errors of nothing (of chance, of no rise) a number is no evidence.
      tile.score.classList.toggle("lab-unsure", score !== null && unsure(score, at));
    });
    const chance = score && score.chance !== null ? ` A head that attends evenly: ${fixed(score.chance)}.` : "";
    const random = RANDOM.includes(this.#metric)
      ? ` Measured on ${this.#view?.period} random tokens, written twice, several times; ± is the standard error over`
        + " them, and paler a number within two of chance."
      : "";
    this.#legend.textContent = score
      ? `${score.name}: ${score.explanation}.${chance}${random}`
      : ablated && this.#ablation
      ? "No validation text lies beside these weights."
      : "Rows of a picture read from columns; brighter means more.";
    this.panel.root.dataset.metric = score ? score.name : "none";
  }

  async #ablate() {
    this.#paintScores();
    if (this.#ablation) return;
    this.#running?.abort();
    const mine = this.#view, { signal } = this.#running = new AbortController();
    const bar = h("progress", { max: 1, value: 0, "aria-label": "how much is done" });
    const words = h("span", {}, "Taking each head away in turn… ");
    replace(this.#legend, words, bar);
    try {
      const answer = await longAnalysis("ablation", asked(), (done, of) => {
        [bar.max, bar.value, words.textContent] = [of, done, `Taking each head away in turn, ${done} of ${of} `];
      }, signal);
      if (mine !== this.#view) return;
      this.#ablation = answer;
      if (ABLATIONS.includes(this.#metric)) this.#paintScores();
    } catch (error) {
      if (wasAborted(error) || mine !== this.#view) return;
      replace(this.#legend, `${messageOf(error)} (${idOf(error)}) `, h("button", { class: "lab-button", onclick: () =>
        this.#ablate() }, "Try again"));
    }
  }

  #mark() {
    const { selection: { layer, head: index }, headLocked } = state, shown = currentHead();
    this.#each(({ button }, l, i) => {
      const chosen = l === layer && i === index;
      button.classList.toggle("lab-chosen", chosen);
      button.classList.toggle("lab-locked", chosen && headLocked);
      button.classList.toggle("lab-previewed", l === shown.layer && i === shown.head && !chosen);
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    });
  }

  /** @param {MouseEvent} event @param {number} layer @param {number} index */
  #tell(event, layer, index) {
    const at = layer * this.#tiles[layer].length + index;
    const rows = (this.#view?.scores ?? []).map((
      score,
    ) => /** @type {Lab.Row} */ ([score.name, fixed(score.values.data[at]) + errorOf(score, at)]));
    if (this.#ablation) rows.push(...ablationRows(this.#ablation, at));
    showTip(event, `layer ${layer}, head ${index}`, rows);
  }
}

/** Whether a score is within two standard errors of what says nothing. @param {Lab.Score} score @param {number} at */
const unsure = ({ values, errors, chance }, at) =>
  Boolean(errors && Math.abs(values.data[at] - (chance ?? 0)) < 2 * errors.data[at]);

/** The standard error of a head's score, where it is a mean over texts. @param {Lab.Score} score @param {number} at */
const errorOf = ({ errors }, at) => (errors && Number.isFinite(errors.data[at]) ? ` ± ${fixed(errors.data[at])}` : "");

/** @param {Lab.AblationView} ablation @param {number} at @returns {Lab.Row[]} */
function ablationRows({ heads, mean_over: over, zero_heads: zeroed, validation }, at) {
  /** @type {Lab.Row[]} */
  const rows = over ? [[ABLATION, fixed(heads.data[at])]] : [];
  rows.push(["… with zero in its place", fixed(zeroed.data[at])]);
  if (validation) {
    rows.push(["… over validation text",
      `${fixed(validation.heads.data[at])} ± ${fixed(validation.head_errors.data[at])}`]);
  }
  return rows;
}

/** Selects and locks a head; the one that is locked, no longer. @param {number} layer @param {number} index */
function pick(layer, index) {
  const { selection, headLocked } = state;
  if (headLocked && selection.layer === layer && selection.head === index) lockHead(false);
  else selectHead(layer, index);
}
