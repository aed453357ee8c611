// One head, large: rows are queries, columns are the keys they read from. Hover previews a row, click locks it.

import { keyOf, paint, paintPattern, prepare, writeIn } from "./lib/canvas.js";
import { css } from "./lib/colour.js";
import { chip, choice, clip, fixed, h, replace } from "./lib/dom.js";
import { frame, Grid, labelled, writeUp } from "./lib/grid.js";
import { actionsOf, of, panel } from "./lib/panel.js";
import { average, head, probability, sameTokens } from "./lib/patterns.js";
import { currentHead, currentToken, option, pin, setOption, state } from "./lib/store.js";

/** @type {Record<string, string>} */
const SCALES = { root: "square root", linear: "linear", row: "largest of each row" };
/** @type {Record<string, string>} */
const SHOWN = { head: "this head", average: "mean of the layer", difference: "A − B",
  "average-difference": "A − B of the means" };
const LARGEST = 760, GUTTER = 76;

/** @typedef {Pick<Lab.View, "request" | "ask" | "numbers">} Source */

/** @param {Element} element */
export const mount = (element) => heatMap(element, { request: of("attention", true) });

/**
 * The map for a source whose numbers may change by themselves.
 * @param {Element} element
 * @param {Source & { fixed?: boolean }} source `fixed`: one scale for all that is shown, so none by the row
 */
export const heatMap = (element, source) => new HeatMap(element, source);

class HeatMap {
  /** @type {Lab.AttentionView | null} what is selected */
  #a = null;
  /** @type {Lab.AttentionView | null} what it is compared with */
  #b = null;
  #offered = ""; // the choices that stand there
  #what = option("pattern", "head", (name) => name in SHOWN);
  #still = h("canvas");
  #image = this.#still;
  #chips = h("div", { class: "lab-chips" });
  #key = h("div", { class: "lab-key" });

  /** @param {Element} element @param {Source & { fixed?: boolean }} source */
  constructor(element, source) {
    this.scales = Object.entries(SCALES).filter(([name]) => name !== "row" || !source.fixed);
    this.scale = option("scale", "root", (name) => this.scales.some(([known]) => known === name));
    this.actions = actionsOf(element);
    this.grid = new Grid({
      draw: () => this.#draw(),
      read: (place) => this.#read(place.row, place.column),
      hover: (place) => ({ token: place?.row ?? null, key: place?.column ?? null }),
      pick: ({ row }) => pin(row),
      start: () => ({ row: state.selection.token ?? this.grid.layout.rows - 1, column: 0 }),
      last: (row) => row,
    });
    this.grid.canvas.setAttribute("aria-roledescription", "attention pattern");
    this.panel = panel(element, { ...source, show: this.show, update: (changed) => {
      if (["layer", "head", "hover", "lock"].some((name) => changed.has(name))) this.#render();
      else if (changed.has("token")) this.#draw();
    }, draw: () => this.#render() });
    replace(this.panel.body, this.#chips, this.grid.canvas, this.#key, this.grid.words);
    this.refresh = this.panel.refresh;
  }

  /** @param {Lab.AttentionView} first @param {Lab.AttentionView | null} [second] */
  show = (first, second = null) => {
    const why = second && mismatch(first, second);
    [this.#a, this.#b] = [first, why ? null : second];
    this.#controls(why);
    this.#render();
  };

  /** @param {string | null} why there is no difference to show */
  #controls(why) {
    const shown = ["head", "average", ...(this.#b ? ["difference", "average-difference"] : [])];
    if (this.#b && option("pattern", null) === null) this.#what = "difference";
    if (!shown.includes(this.#what)) this.#what = this.#ofLayer() ? "average" : "head";
    // The same choices stay: a list that is open must not be taken away.
    if (this.#offered === (this.#offered = JSON.stringify([shown, this.#what, why]))) return;
    replace(this.actions, choice("Show", shown.map((name) => [name, SHOWN[name]]), this.#what, (value) => {
      this.#what = value;
      setOption("pattern", value);
      this.#render();
    }), choice("Scale", this.scales, this.scale, (value) => {
      this.scale = value;
      setOption("scale", value, "root");
      this.#render();
    }), why ? h("span", { class: "lab-warn" }, why) : null);
  }

  #ofLayer = () => this.#what.startsWith("average");
  /** What is taken off, if anything is. */
  #other = () => (this.#what.endsWith("difference") ? this.#b : null);

  /** @param {Lab.AttentionView} view */
  #bytes(view) {
    const { layer, head: index } = currentHead();
    return this.#ofLayer() ? average(view, layer) : head(view, layer, index);
  }

  #render() {
    if (!this.#a) return;
    const began = performance.now(), other = this.#other(), n = this.#a.source.tokens.length;
    const mine = this.#bytes(this.#a), { scale } = this;
    if (!other && scale !== "row") this.#image = paintPattern(this.#still, mine, n, scale === "linear");
    else this.#image = paint(h("canvas"), n, n, shades(mine, other && this.#bytes(other), n, scale));
    this.#draw();
    this.#tellHead(this.#a);
    this.panel.root.dataset.drawMs = (performance.now() - began).toFixed(2);
  }

  #draw() {
    if (!this.#a) return;
    const { tokens } = this.#a.source, n = tokens.length, { cursor, canvas } = this.grid;
    const room = Math.max(160, Math.min(LARGEST, this.panel.body.clientWidth - 4));
    const longest = Math.max(...tokens.map((token) => [...token].length));
    const gutter = Math.min(GUTTER, 14 + 6.4 * Math.min(9, longest));
    let cell = Math.min(34, (room - gutter) / n);
    if (cell >= 3) cell = Math.floor(cell);
    this.grid.layout = { left: gutter, top: gutter, width: cell, height: cell, rows: n, columns: n };
    const side = cell * n, context = prepare(canvas, gutter + side, gutter + side);
    context.fillStyle = css("--lab-masked");
    context.fillRect(gutter, gutter, side, side);
    context.imageSmoothingEnabled = cell < 1;
    context.drawImage(this.#image, gutter, gutter, side, side);
    const row = cursor?.row ?? currentToken();
    labels(context, tokens, gutter, cell, row, cursor?.column ?? null);
    if (row !== null && row < n)
      frame(context, [gutter, gutter + row * cell, (row + 1) * cell, cell], state.selection.token === row);
    const column = cursor?.column ?? state.hover.key ?? null;
    if (column !== null && column < n)
      frame(context, [gutter + column * cell, gutter + column * cell, cell, (n - column) * cell], false);
  }

  /** @param {number} query @param {number} key */
  #read(query, key) {
    const [a, b] = [this.#a, this.#b], tokens = a?.source.tokens ?? [];
    const from = `${query} “${tokens[query]}”`, to = `${key} “${tokens[key]}”`, title = `${from} reads from ${to}`;
    /** @type {Lab.Row[]} */
    const rows = [];
    if (!a || key > query) {
      rows.push(["masked", "comes later"]);
      return { title, rows, words: `${to} comes after ${from}: masked` };
    }
    const at = query * tokens.length + key, p = probability(this.#bytes(a)[at]);
    rows.push([b ? "A" : "attention", fixed(p)]);
    if (b) {
      const other = probability(this.#bytes(b)[at]);
      rows.push(["B", fixed(other)], ["A − B", fixed(p - other)]);
    }
    return { title, rows, words: `${title}: ${fixed(p)}` };
  }

  /** Which head it is, its scores and the key of its colours. @param {Lab.AttentionView} view */
  #tellHead(view) {
    const { layer, head: index } = currentHead(), [, heads, n] = view.patterns.shape, { scale } = this;
    const title = this.#ofLayer()
      ? `Layer ${layer}, mean of its heads (hides what each does)`
      : `Layer ${layer}, head ${index}`;
    this.grid.canvas.setAttribute("aria-label",
      `${title}: pattern of ${n} tokens. Arrow keys move, Enter locks a row.`);
    this.panel.root.dataset.head = `${layer}.${index}`;
    const scores = this.#ofLayer() ? [] : view.scores;
    replace(this.#chips, h("strong", {}, title),
      ...scores.map(({ name, explanation, values }) =>
        chip(name, fixed(values.data[layer * heads + index]), explanation, { score: name })
      ));
    const palette = this.#other() ? "div" : "seq";
    const ends = palette === "div" ? ["B more", "A more"] : ["0", scale === "row" ? "row’s largest" : "1"];
    replace(this.#key,
      ...keyOf(ends[0], palette, ends[1],
        scale === "root" && palette === "seq" ? "square-root steps, so that faint attention is seen" : "",
        "rows: query (reads) · columns: key (is read) · grey: masked"));
    this.grid.rest(state.selection.token === null ? "Point at a cell to read it; click to lock its row." : "");
  }
}

/**
 * The colours of a pattern, less another where there is one.
 * @param {Uint8Array} mine
 * @param {Uint8Array | null} other
 * @param {number} n
 * @param {string} scale
 * @returns {(query: number, key: number) => Lab.Shade | null}
 */
function shades(mine, other, n, scale) {
  const largest = new Float32Array(n).fill(1);
  if (scale === "row") {
    for (let q = 0; q < n; q++)
      largest[q] = Math.max(1e-9, probability(Math.max(...mine.subarray(q * n, q * n + q + 1))));
  }
  return (q, k) => {
    if (k > q) return null;
    const p = probability(mine[q * n + k]);
    if (!other) return ["seq", scale === "linear" ? p : Math.sqrt(p / largest[q])];
    const d = p - probability(other[q * n + k]);
    return ["div", 0.5 + 0.5 * Math.sign(d) * Math.sqrt(Math.abs(d))];
  };
}

/**
 * The tokens at the left and above; those of the cell that is read are never left out.
 * @param {CanvasRenderingContext2D} context
 * @param {string[]} tokens
 * @param {number} gutter
 * @param {number} cell
 * @param {number | null} row
 * @param {number | null} column
 */
function labels(context, tokens, gutter, cell, row, column) {
  const n = tokens.length, size = Math.min(12, Math.max(9, cell)), long = tokens.some((token) => [...token].length > 1);
  /** @param {number} i */
  const middle = (i) => gutter + (i + 0.5) * cell;
  writeIn(context, size);
  context.textAlign = "right";
  for (const i of labelled(n, cell, size, row)) {
    context.fillStyle = css(i === row ? "--lab-ink" : "--lab-muted");
    context.fillText(clip(tokens[i], 9), gutter - 6, middle(i));
  }
  context.textAlign = "center";
  for (const i of labelled(n, cell, size, column)) {
    context.fillStyle = css(i === column ? "--lab-ink" : "--lab-muted");
    if (long) writeUp(context, clip(tokens[i], 9), middle(i), gutter - 6, "left");
    else context.fillText(tokens[i], middle(i), gutter - 6);
  }
}

/**
 * Why the patterns of B cannot be taken from those of A; null where they can.
 * @param {Lab.AttentionView} first
 * @param {Lab.AttentionView} second
 */
function mismatch(first, second) {
  if (!sameTokens(first, second)) return "B reads this text as other tokens: no difference";
  const [layers, heads] = first.patterns.shape, [otherLayers, otherHeads] = second.patterns.shape;
  if (layers === otherLayers && heads === otherHeads) return null;
  return `B has ${otherLayers} × ${otherHeads} heads, A has ${layers} × ${heads}: no difference`;
}
