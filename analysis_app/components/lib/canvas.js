// Drawing squares of numbers: pictures of one pixel a number, scaled up, with sharp lines on any screen.

import { pixels, table } from "./colour.js";

// A canvas of `width` × `height` CSS pixels, its context scaled to the screen's own pixels.
export function prepare(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}

// `shade(row, column)` → [name of the colour table, value in 0 … 1], or null for a cell that does not exist.
export function picture(rows, columns, shade) {
  const canvas = document.createElement("canvas");
  return paint(canvas, rows, columns, shade);
}

export function paint(canvas, rows, columns, shade) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
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

// A pattern's bytes [query, key] on a canvas, what is masked left clear; quick enough for all heads of a film's frame.
// `linear`: by probability instead of its square root, which is what the bytes are.
export function paintPattern(canvas, bytes, n, linear = false) {
  if (canvas.width !== n || canvas.height !== n) Object.assign(canvas, { width: n, height: n });
  const context = canvas.getContext("2d"), image = context.createImageData(n, n),
    found = new Uint32Array(image.data.buffer), colours = pixels("seq");
  for (let q = 0; q < n; q++) {
    for (let at = q * n, end = at + q; at <= end; at++)
      found[at] = colours[linear ? Math.round((bytes[at] * bytes[at]) / 255) : bytes[at]];
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
