// The loss of every token of the text over training, as a picture with a row a token and as a table.

import { keyOf, prepare } from "../lib/canvas.js";
import { tableToggle } from "../lib/chart/table.js";
import { colour, css } from "../lib/colour.js";
import { clip, count, fixed, h, hideTip, replace, showTip } from "../lib/dom.js";
import { player } from "../lib/frame_player.js";
import { arrow, within } from "../lib/grid.js";
import { preview, select, state } from "../lib/store.js";

const [ROW, LEGIBLE, LETTERS] = [11, 9, 6];
const HINT = "Point at a row to read it; click to go to that step and lock its token.";

/** The frame whose place on the axis is nearest to that of `x`. @param {number} x @param {Lab.Axes} axes */
export function closest(x, { across }) {
  const before = player.nearest(x), next = player.frames[before + 1];
  const away = (/** @type {Lab.Frame} */ { step }) => Math.abs(across(step) - across(x));
  return next && away(next) < away(player.frames[before]) ? before + 1 : before;
}

/** When a token was learned, as far as that is known. @param {number} token */
const learnedAt = (token) => (player.ended === "done" ? player.learned[token - 1] : undefined);

export class TokenLosses {
  #axes;
  #row = ROW; // pixels
  /** @type {{ token: number, frame: number | null } | null} what the mouse is at; no frame: beside the picture */
  #cursor = null;
  #canvas = h("canvas", { class: "lab-map lab-token-map", tabindex: 0, role: "application",
    "aria-roledescription": "losses of tokens over training", onmousemove: (event) => this.#point(event),
    onmouseleave: () => this.#leave(), onclick: (event) => this.#click(event),
    onkeydown: (event) => this.#key(event) });
  #line = h("div", { class: "lab-token-now", "aria-hidden": "true" });
  #words = h("p", { class: "lab-reading", "aria-live": "polite" });
  #colours = h("div", { class: "lab-key" });
  #table = h("div", { class: "lab-scroll lab-tall", hidden: true, tabindex: 0 });
  #area = h("div", { class: "lab-token-area" }, this.#canvas, this.#line);

  /** @param {() => Lab.Axes | null} axes of the chart above, once it is drawn */
  constructor(axes) {
    this.#axes = axes;
    const toggle = tableToggle(this.#area, this.#table, "picture", () => {
      this.draw();
      this.mark();
    });
    const title = h("figcaption", {}, h("b", { class: "lab-chart-name" }, "When did it learn each token?"),
      h("span", { class: "lab-chart-legend" }, "a row a token, the colour its loss"), toggle);
    this.root = h("figure", { class: "lab-chart" }, title, this.#area, this.#table, this.#colours, this.#words);
  }

  // ---------------------------------------------------------------- the picture

  draw() {
    const axes = this.#axes(), { start, frames, ended } = player, width = this.#area.clientWidth;
    if (!axes || !start || !frames.length || !width) return;
    const { tokens, uniform_loss: most } = start, n = tokens.length - 1;
    this.#row = n > 70 ? Math.max(3, Math.floor(760 / n)) : ROW;
    const context = prepare(this.#canvas, width, n * this.#row + 2);
    this.#drawLosses(context, axes, n, most);
    this.#drawNames(context, axes, tokens);
    this.#drawLearned(context, axes);
    this.#canvas.setAttribute("aria-label",
      `Loss of ${n} tokens at ${frames.length} snapshots. Up and down choose a token, left and right a snapshot.`);
    const learned = "dot: learned; from there on its loss stays below half-way from its first to its lowest";
    replace(this.#colours,
      ...keyOf("expected (0)", "warm", `as bad as guessing (${fixed(most, 2)} nats)`, ended === "done" ? learned : ""));
  }

  /**
   * Rows are tokens from the second on (nothing was read before the first), columns reach half-way to the next frame.
   * @param {Lab.Context} context
   * @param {Lab.Axes} axes
   * @param {number} n
   * @param {number} most the loss of the strongest colour
   */
  #drawLosses(context, axes, n, most) {
    const columns = edges(axes), row = this.#row;
    player.frames.forEach(({ token_loss: { data } }, i) => {
      for (let t = 0; t < n; t++) {
        context.fillStyle = colour("warm", data[t] / most);
        context.fillRect(columns[i], t * row, columns[i + 1] - columns[i], row - (row > 5 ? 1 : 0));
      }
    });
  }

  /** @param {Lab.Context} context @param {Lab.Axes} axes @param {string[]} tokens */
  #drawNames(context, { left, right }, tokens) {
    const { token } = state.selection, row = this.#row, near = this.#cursor?.token ?? state.hover.token;
    context.font = `${Math.min(11, row)}px ${css("--font-mono") || "monospace"}`;
    context.textAlign = "right";
    context.textBaseline = "middle";
    const every = Math.ceil(LEGIBLE / row);
    for (let t = 1; t < tokens.length; t++) {
      const chosen = t === token || t === near;
      if ((t - 1) % every && !chosen) continue;
      context.fillStyle = css(chosen ? "--lab-ink" : "--lab-muted");
      context.fillText(clip(tokens[t], LETTERS), left - 6, (t - 0.5) * row);
    }
    context.strokeStyle = css("--lab-mark");
    if (token && token < tokens.length)
      context.strokeRect(left + 0.5, (token - 1) * row + 0.5, right - left - 1, row - 1);
  }

  /** @param {Lab.Context} context @param {Lab.Axes} axes */
  #drawLearned(context, { across }) {
    context.fillStyle = css("--lab-ink");
    player.learned.forEach((step, t) => {
      if (step === null) return;
      context.beginPath();
      context.arc(across(step), (t + 0.5) * this.#row, Math.min(2.6, this.#row / 3), 0, 2 * Math.PI);
      context.fill();
    });
  }

  /** The frame that is shown. */
  mark() {
    const frame = player.shown, axes = this.#axes();
    if (!frame || !axes) return;
    const x = axes.across(frame.step);
    this.#line.hidden = x < axes.left - 1 || x > axes.right + 1;
    this.#line.style.transform = `translateX(${x}px)`;
    if (!this.#table.hidden) this.#list(frame);
    else if (!this.#cursor) this.#words.textContent = reading(state.selection.token, player.at);
  }

  // ---------------------------------------------------------------- mouse and keys

  /** @param {MouseEvent} event */
  #at({ clientX, clientY }) {
    const box = this.#canvas.getBoundingClientRect(), axes = this.#axes();
    const x = clientX - box.left, token = 1 + Math.floor((clientY - box.top) / this.#row);
    if (!axes || token < 1 || token >= (player.start?.tokens.length ?? 0)) return null;
    return { token, frame: x < axes.left ? null : closest(axes.across.invert(Math.min(x, axes.right)), axes) };
  }

  /** @param {MouseEvent} event */
  #point(event) {
    const { start, frames } = player;
    if (!start || !frames.length) return;
    const place = this.#at(event);
    if (place?.token !== this.#cursor?.token) preview({ token: place?.token ?? null });
    this.#cursor = place;
    if (!place) return hideTip();
    const { token, frame = null } = place, at = frame ?? player.at, loss = frames[at].token_loss.data[token - 1];
    const learned = learnedAt(token);
    this.#words.textContent = reading(token, at);
    /** @type {Lab.Row[]} */
    const rows = [["step", count(frames[at].step)], ["loss", `${fixed(loss)} nats`], ["probability",
      fixed(Math.exp(-loss))]];
    if (learned !== undefined) rows.push(["learned at step", learned === null ? "not" : count(learned)]);
    showTip(event, `${token} “${start.tokens[token]}”`, rows);
  }

  #leave() {
    this.#cursor = null;
    hideTip();
    preview({ token: null });
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const place = this.#at(event);
    if (!place) return;
    select({ token: place.token });
    if (place.frame !== null) player.go(place.frame);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const by = arrow(event), end = { Home: -Infinity, End: Infinity }[event.key];
    if (!by && !end) return;
    event.preventDefault();
    this.#cursor = null;
    const { at, start } = player, most = (start?.tokens.length ?? 0) - 1;
    player.go(at + (end ?? by?.column ?? 0));
    if (by?.row) select({ token: Math.max(1, within((state.selection.token ?? 0) + by.row, most)) });
  }

  // ---------------------------------------------------------------- the table

  /** @param {Lab.Frame} frame */
  #list(frame) {
    const { frames, start } = player, shown = [frames[0], frame, frames[frames.length - 1]];
    const head = ["token", "", `loss at step ${count(shown[0].step)}`,
      ...shown.slice(1).map(({ step }) => `at step ${count(step)}`), "learned at step"];
    const rows = (start?.tokens ?? []).slice(1).map((token, t) =>
      h("tr", {}, h("td", { class: "lab-number" }, String(t + 1)), h("td", {}, token), ...[...shown.map((one) =>
        fixed(one.token_loss.data[t])
      ), count(player.learned[t])].map((text) => h("td", { class: "lab-number" }, text)))
    );
    replace(this.#table,
      h("table", { class: "lab-table" },
        h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, ...rows)));
  }
}

/** Where the columns of the frames begin, and where the last ends. @param {Lab.Axes} axes */
function edges({ across, left, right }) {
  const at = player.frames.map(({ step }) => across(step)), { length: n } = at;
  const middle = at.slice(1).map((x, i) => (x + at[i]) / 2);
  const first = at[0] - ((middle[0] ?? right) - at[0]), last = at[n - 1] + 0.5 * ((at[n - 1] - at[n - 2]) || 4);
  return [first, ...middle, last].map((x) => Math.round(within(Math.max(left, x), right)));
}

/** A token's loss at a frame, in words. @param {number | null} token @param {number} at */
function reading(token, at) {
  const { frames, start } = player, tokens = start?.tokens ?? [];
  if (!token || token >= tokens.length) return HINT;
  const learned = learnedAt(token);
  const when = learned === undefined
    ? ""
    : learned === null
    ? "; not learned: it never fell by half a nat for good"
    : `; learned at step ${count(learned)}`;
  return `${token} “${tokens[token]}” at step ${count(frames[at].step)}: loss ${
    fixed(frames[at].token_loss.data[token - 1])
  } nats${when}`;
}
