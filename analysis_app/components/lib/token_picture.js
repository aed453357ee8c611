// Numbers as a picture whose columns are the tokens of the text, so that pictures under one another line up. Hover
// reads a number, click pins the token. The pinned column is marked by CSS alone (--token, --tokens).

import { paint } from "./canvas.js";
import { fixed, h, hideTip, showTip } from "./dom.js";
import { within } from "./grid.js";
import { pin, preview } from "./store.js";

/**
 * @param {Lab.PartNumbers} numbers
 * @param {string[]} tokens
 * @param {string} name
 * @param {boolean} [square] rows are queries, columns keys, both tokens
 */
export function tokenPicture(numbers, tokens, name, square = false) {
  const { dims, picture: { shape: [rows, n], data } } = numbers;
  const canvas = h("canvas", { role: "img", "aria-label": `${name}: ${rows} numbers at each of ${n} tokens` });
  shade(canvas, rows, n, data, square, square || !dims.length);

  /** The cell under the mouse, or the nearest. @param {MouseEvent} event */
  function at(event) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return { row: within(Math.floor(((event.clientY - top) / height) * rows), rows - 1),
      column: within(Math.floor(((event.clientX - left) / width) * n), n - 1) };
  }

  return h("div", { class: square ? "lab-sheet lab-square" : "lab-sheet", onmousemove: (event) => {
    const { row, column } = at(event), value = data[row * n + column];
    preview({ token: square ? row : column });
    if (square) {
      return showTip(event, `${row} “${tokens[row]}” and ${column} “${tokens[column]}”`, [[name,
        Number.isFinite(value) ? fixed(value) : "masked"]]);
    }
    showTip(event, `token ${column} “${tokens[column]}”`, [[dims.length ? `number ${dims[row]}` : `largest but ${row}`,
      fixed(value)], ["length of the vector", fixed(numbers.norms.data[column], 2)]]);
  }, onmouseleave: () => {
    preview({ token: null });
    hideTip();
  }, onclick: (event) => {
    const { row, column } = at(event);
    pin(square ? row : column);
  } }, canvas, h("i"));
}

/**
 * Orange above 0, blue below, in square-root steps; where `plain` and nothing is below, blue alone.
 * @param {HTMLCanvasElement} canvas
 * @param {number} rows
 * @param {number} n
 * @param {Float32Array} data
 * @param {boolean} square
 * @param {boolean} plain
 */
function shade(canvas, rows, n, data, square, plain) {
  let largest = 1e-9, smallest = 0;
  for (const x of data)
    if (Number.isFinite(x)) [largest, smallest] = [Math.max(largest, Math.abs(x)), Math.min(smallest, x)];
  const one = plain && smallest === 0;
  paint(canvas, rows, n, (row, column) => {
    const x = data[row * n + column];
    if (!Number.isFinite(x) || (square && column > row)) return null;
    const size = Math.sqrt(Math.abs(x) / largest);
    return one ? ["seq", size] : ["div", 0.5 + 0.5 * Math.sign(x) * size];
  });
}

/**
 * A pattern of `n` × `n` bytes in at most `side` × `side` dots, each the largest of what it stands for.
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} bytes
 * @param {number} n
 * @param {number} side
 */
export function thumbnail(canvas, bytes, n, side) {
  const m = Math.min(n, side), found = new Uint8Array(m * m);
  /** @param {number} i */
  const of = (i) => Math.floor((i * m) / n);
  for (let q = 0; q < n; q++) {
    for (let k = 0; k <= q; k++) {
      const cell = of(q) * m + of(k);
      found[cell] = Math.max(found[cell], bytes[q * n + k]);
    }
  }
  paint(canvas, m, m, (q, k) => (k > q ? null : ["seq", found[q * m + k] / 255]));
}
