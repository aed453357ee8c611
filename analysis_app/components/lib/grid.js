// A grid of numbers on a canvas. Where its cells lie is data: drawing, mouse and arrow keys read the same layout.

import { paint, prepare, writeIn } from "./canvas.js";
import { css } from "./colour.js";
import { clip, h, hideTip, showTip } from "./dom.js";
import { preview } from "./store.js";

/** @typedef {{ row: number, column: number }} Place a cell; rows count from the top */
/**
 * In CSS pixels: the corner of the first cell, and the size of each.
 * @typedef {{ left: number, top: number, width: number, height: number, rows: number, columns: number }} Layout
 */
/** @typedef {{ title: string, rows: Lab.Row[], words: string }} Reading */
/**
 * What a panel knows of its cells.
 * @typedef {object} Cells
 * @property {() => void} draw
 * @property {(place: Place) => Reading} read
 * @property {(place: Place | null) => Lab.Hover} hover what a cell previews
 * @property {(place: Place) => void} pick a click, or Enter
 * @property {() => Place} start where the arrow keys begin
 * @property {(row: number) => number} [last] the last column of a row
 */

/** @type {Record<string, Place>} */
const ARROWS = { ArrowUp: { row: -1, column: 0 }, ArrowDown: { row: 1, column: 0 }, ArrowLeft: { row: 0, column: -1 },
  ArrowRight: { row: 0, column: 1 } };
const LEGIBLE = 8; // pixels that a label takes at least
const LEFT = 60, WIDEST = 34; // pixels for the layers' names, and of a cell

/** Where an arrow key points; undefined for any other. @param {KeyboardEvent} event @returns {Place | undefined} */
export const arrow = (event) => ARROWS[event.key];

/** @param {number} x @param {number} most */
export const within = (x, most) => Math.min(most, Math.max(0, x));

/** The cell at a point of the canvas, or none. @param {Layout} layout @param {number} x @param {number} y */
function cellAt({ left, top, width, height, rows, columns }, x, y) {
  const row = Math.floor((y - top) / height), column = Math.floor((x - left) / width);
  return row >= 0 && row < rows && column >= 0 && column < columns ? { row, column } : null;
}

export class Grid {
  /** @type {Place | null} what the mouse or the keys point at */
  cursor = null;
  /** @type {Layout} */
  layout = { left: 0, top: 0, width: 1, height: 1, rows: 0, columns: 0 };

  /** @param {Cells} cells */
  constructor(cells) {
    this.cells = cells;
    this.canvas = h("canvas", { class: "lab-map", tabindex: 0, role: "application",
      onmousemove: (event) => this.#point(event), onmouseleave: () => this.#leave(), onclick: (event) => {
        const place = this.#at(event);
        if (place) cells.pick(place);
      }, onkeydown: (event) => this.#move(event) });
    this.words = h("p", { class: "lab-reading", "aria-live": "polite" });
  }

  /** What is said while no cell is read. @param {string} text */
  rest(text) {
    if (!this.cursor) this.words.textContent = text;
  }

  /** @param {MouseEvent} event */
  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    return cellAt(this.layout, event.clientX - box.left, event.clientY - box.top);
  }

  /** @param {MouseEvent} event */
  #point(event) {
    const place = this.#at(event);
    if (place?.row === this.cursor?.row && place?.column === this.cursor?.column) return;
    this.cursor = place;
    preview(this.cells.hover(place));
    this.cells.draw();
    if (!place) return hideTip();
    const { title, rows } = this.#read(place);
    showTip(event, title, rows);
  }

  #leave() {
    this.cursor = null;
    preview(this.cells.hover(null));
    hideTip();
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const { cells, cursor, layout } = this, way = arrow(event);
    if (event.key === "Enter" && cursor) return cells.pick(cursor);
    if (!way) return;
    event.preventDefault();
    const from = cursor ?? cells.start(), row = within(from.row + way.row, layout.rows - 1);
    this.cursor = { row, column: within(from.column + way.column, cells.last?.(row) ?? layout.columns - 1) };
    cells.draw();
    this.#read(this.cursor);
  }

  /** @param {Place} place */
  #read(place) {
    const found = this.cells.read(place);
    this.words.textContent = found.words;
    return found;
  }
}

// ---------------------------------------------------------------- drawing

/**
 * The indices whose labels have room; that of `chosen` takes the place of those beside it.
 * @param {number} n
 * @param {number} cell pixels from one to the next
 * @param {number} size of a label
 * @param {number | null} chosen
 */
export function labelled(n, cell, size, chosen) {
  const every = Math.ceil(LEGIBLE / cell);
  return [...Array(n).keys()].filter((i) =>
    i === chosen || (i % every === 0 && (chosen === null || Math.abs(i - chosen) * cell >= size))
  );
}

/**
 * Text from bottom to top.
 * @param {Lab.Context} context
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {CanvasTextAlign} align "left" begins at the point, "right" ends there
 */
export function writeUp(context, text, x, y, align) {
  context.save();
  context.translate(x, y);
  context.rotate(-Math.PI / 2);
  context.textAlign = align;
  context.fillText(text, 0, 0);
  context.restore();
}

/**
 * @param {Lab.Context} context
 * @param {[x: number, y: number, width: number, height: number]} box
 * @param {boolean} strong
 */
export function frame(context, [x, y, width, height], strong) {
  context.strokeStyle = css("--lab-mark");
  context.lineWidth = strong ? 2 : 1;
  context.strokeRect(x + 0.5, y + 0.5, Math.max(2, width - 1), height - 1);
}

/**
 * A row for each layer, the first at the bottom, and a column for each token.
 * @param {Grid} grid
 * @param {object} what
 * @param {number} what.room the width there is
 * @param {number} what.height of a row
 * @param {number} what.layers
 * @param {string[]} what.tokens
 * @param {number | null} what.chosen the token whose label is never left out
 * @param {(layer: number, token: number) => Lab.Shade} what.shade
 * @param {(token: number) => string} what.ink of its label, a CSS variable
 */
export function drawLayers(grid, { room, height, layers, tokens, chosen, shade, ink }) {
  const n = tokens.length, width = Math.min(WIDEST, (room - LEFT - 6) / n), bottom = height * layers;
  grid.layout = { left: LEFT, top: 0, width, height, rows: layers, columns: n };
  const longest = Math.max(...tokens.map((token) => Math.min(8, [...token].length)));
  const context = prepare(grid.canvas, LEFT + width * n + 2, bottom + 14 + 7 * longest);
  const image = paint(h("canvas"), layers, n, (row, t) => shade(layers - 1 - row, t));
  context.imageSmoothingEnabled = false;
  context.drawImage(image, LEFT, 0, width * n, bottom);
  writeIn(context, 11);
  context.fillStyle = css("--lab-muted");
  for (let i = 0; i < layers; i++) context.fillText(`layer ${i}`, 0, height * (layers - 1 - i) + height / 2);
  for (const t of labelled(n, width, 11, chosen)) {
    context.fillStyle = css(ink(t));
    writeUp(context, clip(tokens[t], 8), LEFT + (t + 0.5) * width, bottom + 6, "right");
  }
  return context;
}
