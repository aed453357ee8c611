// Drawing squares of numbers: pictures of one pixel a number, scaled up, with sharp lines on any screen.

import { css, pixels, table } from "./colour.js";
import { h } from "./dom.js";

/** @param {HTMLCanvasElement} canvas */
export function contextOf(canvas) {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("the browser gives no canvas to draw on");
  return context;
}

/**
 * A cleared canvas of `width` × `height` CSS pixels, its context scaled to the screen's own pixels. It is made anew
 * only when it has another size.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 */
export function prepare(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1, [w, t] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== t) Object.assign(canvas, { width: w, height: t });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const context = contextOf(canvas);
  context.reset();
  context.scale(ratio, ratio);
  return context;
}

/** The page's font for tokens. @param {Lab.Context} context @param {number} size */
export function writeIn(context, size) {
  context.font = `${size}px ${css("--font-mono") || "monospace"}`;
  context.textBaseline = "middle";
}

/**
 * A pixel for each cell; `null` is a cell that does not exist and stays clear.
 * @param {HTMLCanvasElement} canvas
 * @param {number} rows
 * @param {number} columns
 * @param {(row: number, column: number) => Lab.Shade | null} shade
 */
export function paint(canvas, rows, columns, shade) {
  canvas.width = columns;
  canvas.height = rows;
  const context = contextOf(canvas), image = context.createImageData(columns, rows);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at += 4) {
      const found = shade(row, column);
      if (found === null) continue;
      const colours = table(found[0]), i = 3 * Math.round(255 * Math.min(1, Math.max(0, found[1])));
      image.data[at] = colours[i];
      image.data[at + 1] = colours[i + 1];
      image.data[at + 2] = colours[i + 2];
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/**
 * What the colours of a palette mean, at both ends and in words.
 * @param {string} low
 * @param {Lab.Palette} palette
 * @param {string} high
 * @param {string[]} notes
 */
export const keyOf = (low, palette, high, ...notes) => [
  h("span", {}, low),
  paint(h("canvas", { class: "lab-ramp", "aria-hidden": "true" }), 1, 64, (_, i) => [palette, i / 63]),
  h("span", {}, high),
  ...notes.map((note) => h("span", { class: "lab-note" }, note)),
];

/**
 * A pattern's bytes [query, key], what is masked left clear; quick enough for all heads of a frame that moves.
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} bytes
 * @param {number} n
 * @param {boolean} [linear] by probability instead of its square root, which is what the bytes are
 */
export function paintPattern(canvas, bytes, n, linear = false) {
  if (canvas.width !== n || canvas.height !== n) Object.assign(canvas, { width: n, height: n });
  const context = contextOf(canvas), image = context.createImageData(n, n);
  const found = new Uint32Array(image.data.buffer), colours = pixels("seq");
  for (let q = 0; q < n; q++) {
    for (let at = q * n, end = at + q; at <= end; at++)
      found[at] = colours[linear ? Math.round((bytes[at] * bytes[at]) / 255) : bytes[at]];
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
