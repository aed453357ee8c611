// The vocabulary as a map: token embeddings in two directions that are the last snapshot's at every step, so that what
// moves on it has moved. Hover reads a token, click chooses it; beside it its nearest neighbours, in all directions.

import { bar, signed } from "./lib/bars.js";
import { prepare, writeIn } from "./lib/canvas.js";
import { messageOf, post } from "./lib/client.js";
import { css } from "./lib/colour.js";
import { count, fixed, h, hideTip, percent, replace, showTip } from "./lib/dom.js";
import { arrow } from "./lib/grid.js";
import { actionsOf, panel } from "./lib/panel.js";
import { option, setOption, state } from "./lib/store.js";

const KINDS = ["lower case", "capital", "digit", "space", "punctuation", "other"];
const HEIGHT = 440, MARGIN = 16, NAMED = 130, NEAR = 14;

/** @typedef {[x: number, y: number]} Spot */

/** The token that the address names, by its id. @returns {number | null} */
function chosen() {
  const id = Number(option("piece", null, (text) => /^\d{1,9}$/.test(text)) ?? NaN);
  return id < (state.info?.model?.vocab_size ?? 0) ? id : null;
}

/** @param {Element} element */
export const mount = (element) => new EmbeddingMap(element);

class EmbeddingMap {
  /** @type {Lab.EmbeddingView | null} */
  #view = null;
  /** @type {Lab.NeighbourView | null} */
  #near = null;
  /** @type {number | null} the point that is read */
  #at = null;
  /** @type {Spot[]} of each point, on the canvas */
  #spots = [];
  #canvas = h("canvas", { class: "lab-map lab-scatter", tabindex: 0, role: "application",
    onmousemove: (event) => this.#point(event), onmouseleave: () => {
      hideTip();
      this.#read(null);
    }, onclick: (event) => this.#choose(this.#nearest(event)), onkeydown: (event) => this.#move(event) });
  #words = h("p", { class: "lab-reading", "aria-live": "polite" });
  #note = h("p", { class: "lab-note" });
  #legend = h("div", { class: "lab-key" });
  #side = h("div", { class: "lab-neighbours" });

  /** @param {Element} element */
  constructor(element) {
    const finder = finderOf(() => this.#view);
    this.panel = panel(element, {
      request({ run, step }) {
        const token = chosen();
        /** @type {Lab.Question} */
        const map = ["embeddings", { run, step, packed: true }];
        return token === null ? [map] : [map, ["neighbours", { run, step, token }]];
      },
      show: (answer, neighbours = null) => {
        [this.#view, this.#near] = [answer, neighbours];
        replace(actionsOf(element), ...finder);
        this.#read(null);
      },
      draw: () => this.#draw(),
    });
    replace(this.panel.body,
      h("div", { class: "lab-mapped" }, h("div", {}, this.#canvas, this.#legend, this.#words, this.#note), this.#side));
  }

  #draw() {
    const view = this.#view, near = this.#near, { dataset } = this.panel.root;
    if (!view) return;
    const width = Math.max(240, Math.min(760, this.#canvas.parentElement?.clientWidth ?? 0));
    this.#spots = spotsOf(view, width);
    drawMap(this.#canvas, width, view, this.#spots, near, this.#at);
    this.#canvas.setAttribute("aria-label",
      `map of ${view.ids.length} token embeddings. Arrow keys go to the next token that way, Enter chooses it.`);
    replace(this.#legend,
      ...KINDS.filter((name) => view.kinds.includes(name)).map((name) =>
        h("span", { class: "lab-dot", style: { "--dot": inkOf(name) } }, name)
      ));
    replace(this.#side, ...neighboursOf(near));
    if (near) dataset.token = String(near.id);
    this.#note.textContent = noteOf(view);
    dataset.points = String(view.ids.length);
  }

  /** @param {number | null} i the point that is read from now on */
  #read(i) {
    const view = this.#view;
    this.#at = i;
    this.#draw();
    this.#words.textContent = view && i !== null
      ? `“${view.tokens[i]}” (id ${view.ids[i]}): ${fixed(view.points.data[2 * i])}, ${
        fixed(view.points.data[2 * i + 1])
      }`
      : "Point at a token to read it; click to see its neighbours.";
  }

  /** @param {number | null} i */
  #choose(i) {
    const id = i === null ? null : this.#view?.ids[i];
    if (id !== null) setOption("piece", chosen() === id ? null : id);
  }

  /** The point under the mouse, or none. @param {MouseEvent} event @returns {number | null} */
  #nearest(event) {
    const box = this.#canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const far = this.#spots.map(([a, b]) => Math.hypot(a - x, b - y)), least = Math.min(...far);
    return least < NEAR ? far.indexOf(least) : null;
  }

  /** @param {MouseEvent} event */
  #point(event) {
    const i = this.#nearest(event), view = this.#view;
    if (i === this.#at || !view) return;
    this.#read(i);
    if (i === null) return hideTip();
    showTip(event, view.tokens[i], [["id", String(view.ids[i])], ["kind", view.kinds[i]], ["in the validation slice",
      count(view.counts[i])]]);
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const way = arrow(event);
    if (event.key === "Enter" && this.#at !== null) return this.#choose(this.#at);
    if (!way) return;
    event.preventDefault();
    const from = this.#at ?? Math.max(0, this.#view?.ids.indexOf(chosen() ?? -1) ?? 0);
    this.#read(next(this.#spots, from, way.column, way.row));
  }
}

/** A box to find a token in, and what is said of it. @param {() => Lab.EmbeddingView | null} viewed */
function finderOf(viewed) {
  const said = h("span", { class: "lab-warn", role: "status" });
  const search = h("input", { type: "text", id: "lab-find-token", maxlength: 200, placeholder: "find a token, Enter",
    "aria-label": "find a token", onkeydown: (event) => event.key === "Enter" && find() });
  return [search, said];

  async function find() {
    const text = search.value, { run, step } = state.selection, view = viewed();
    said.textContent = "";
    if (!text || !view) return;
    const named = view.tokens.indexOf(text);
    if (named >= 0) return setOption("piece", view.ids[named]);
    try {
      setOption("piece", (await post("api/analyze/piece", { run, step, text })).id);
    } catch (error) {
      if (search.value === text) said.textContent = messageOf(error);
    }
  }
}

// ---------------------------------------------------------------- in words

/** @param {Lab.EmbeddingView} view */
function noteOf({ ids, vocab_size: all, fitted_step: step, explained: { data: [first, second] }, tied }) {
  const more = ids.length < all ? ` The ${count(ids.length)} most frequent of ${count(all)} tokens.` : "";
  return `Directions of step ${count(step)}, at every step; at this one they hold ${
    percent(first + second)
  } of the variance.${more}${tied ? " The same embedding scores the next token." : ""}`;
}

/** @param {Lab.NeighbourView | null} near */
function neighboursOf(near) {
  if (!near)
    return [h("p", { class: "lab-note" }, "Choose a token to see which embeddings point most nearly the same way.")];
  const bars = near.tokens.map((name, i) =>
    bar(h("button", { class: "lab-link", onclick: () => setOption("piece", near.ids[i]) }, name), [
      signed(near.cosines[i]),
    ], [h("b", {}, fixed(near.cosines[i], 2))], { data: { id: near.ids[i] } })
  );
  return [h("h3", { class: "lab-subtitle" }, "Nearest to “", near.token, "”"),
    h("div", { class: "lab-bars lab-signed", role: "list" }, ...bars),
    h("p", { class: "lab-note" }, "Cosine similarity of the whole vectors, not of the map."),
    h("button", { class: "lab-button", onclick: () => setOption("piece", null) }, "Choose none")];
}

// ---------------------------------------------------------------- where the tokens lie

/**
 * One scale for both directions, and the last snapshot's at every step.
 * @param {Lab.EmbeddingView} view
 * @param {number} width
 */
function spotsOf({ ids, points: { data }, extent }, width) {
  const unit = (Math.min(width, HEIGHT) / 2 - MARGIN) / Math.max(1e-9, extent);
  return ids.map((_, i) => /** @type {Spot} */ ([width / 2 + data[2 * i] * unit, HEIGHT / 2 - data[2 * i + 1] * unit]));
}

/**
 * The next point in a direction: near, and not far aside of it.
 * @param {Spot[]} spots
 * @param {number} from
 * @param {number} dx
 * @param {number} dy
 */
function next(spots, from, dx, dy) {
  let best = from, least = Infinity;
  spots.forEach(([x, y], i) => {
    const right = x - spots[from][0], down = y - spots[from][1];
    const ahead = right * dx + down * dy, aside = Math.abs(right * dy) + Math.abs(down * dx);
    if (i !== from && ahead > 0 && aside <= 2 * ahead && ahead + 2 * aside < least)
      [best, least] = [i, ahead + 2 * aside];
  });
  return best;
}

// ---------------------------------------------------------------- drawing

/** @param {string} kind of token */
const inkOf = (kind) => css(`--lab-kind-${KINDS.indexOf(kind)}`);

/**
 * The tokens by their names while there are few, else as dots; the chosen one, its neighbours and the one that is read
 * last, so that none covers them.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {Lab.EmbeddingView} view
 * @param {Spot[]} spots
 * @param {Lab.NeighbourView | null} near
 * @param {number | null} at
 */
function drawMap(canvas, width, { ids, tokens, kinds }, spots, near, at) {
  const context = prepare(canvas, width, HEIGHT), token = chosen(), neighbours = new Set(near?.ids ?? []);
  const weights = ids.map((id, i) => (i === at ? 3 : id === token ? 2 : neighbours.has(id) ? 1 : 0));
  context.strokeStyle = css("--lab-line");
  context.strokeRect(0.5, HEIGHT / 2, width - 1, 0);
  context.strokeRect(width / 2, 0.5, 0, HEIGHT - 1);
  writeIn(context, 12);
  context.textAlign = "center";
  for (const i of [...ids.keys()].sort((a, b) => weights[a] - weights[b])) {
    const [x, y] = spots[i], weight = weights[i];
    context.globalAlpha = token === null || weight ? 1 : 0.35;
    if (weight) halo(context, tokens[i], x, y, weight > 1);
    context.fillStyle = inkOf(kinds[i]);
    if (ids.length <= NAMED || weight) context.fillText(tokens[i], x, y);
    else context.fillRect(x - 2, y - 2, 4, 4);
  }
  context.globalAlpha = 1;
}

/** @param {Lab.Context} context @param {string} text @param {number} x @param {number} y @param {boolean} strong */
function halo(context, text, x, y, strong) {
  const wide = context.measureText(text).width + 8;
  context.fillStyle = css("--lab-card");
  context.fillRect(x - wide / 2, y - 9, wide, 18);
  context.strokeStyle = css(strong ? "--lab-mark" : "--lab-accent");
  context.strokeRect(x - wide / 2, y - 9, wide, 18);
}
