// A sheet: numbers as a picture whose columns are the tokens of the text, so that sheets under one another line up.
// Hover reads a number, click pins the token. The pinned column is marked by CSS alone (--token, --tokens).

import { paint } from "./canvas.js";
import { fixed, h, hideTip, showTip } from "./dom.js";
import { preview, select, state } from "./store.js";

// `numbers`: { picture [row, pos], dims, norms }; `square`: rows are queries, columns keys, both tokens.
export function sheet(numbers, tokens, name, square = false) {
  const [rows, n] = numbers.picture.shape, { data } = numbers.picture;
  const canvas = h("canvas", { role: "img", "aria-label": `${name}: ${rows} numbers at each of ${n} tokens` });
  const node = h("div", { class: square ? "lab-sheet lab-square" : "lab-sheet", onmousemove: point, onmouseleave: leave,
    onclick: pin }, canvas, h("i"));
  shade(canvas, rows, n, data, square, square || !numbers.dims.length);

  function at(event) {
    const box = canvas.getBoundingClientRect(),
      inside = (part, count) => Math.min(count - 1, Math.max(0, Math.floor(part * count)));
    return [inside((event.clientY - box.top) / box.height, rows), inside((event.clientX - box.left) / box.width, n)];
  }

  function point(event) {
    const [row, column] = at(event), value = data[row * n + column];
    preview({ token: square ? row : column });
    if (square)
      return showTip(event, `${row} “${tokens[row]}” and ${column} “${tokens[column]}”`, [[name,
        Number.isFinite(value) ? fixed(value) : "masked"]]);
    const which = numbers.dims.length ? `number ${numbers.dims[row]}` : `largest but ${row}`;
    return showTip(event, `token ${column} “${tokens[column]}”`, [[which, fixed(value)], ["length of the vector",
      fixed(numbers.norms.data[column], 2)]]);
  }

  function leave() {
    preview({ token: null });
    hideTip();
  }

  function pin(event) {
    const [row, column] = at(event), token = square ? row : column;
    select({ token: state.selection.token === token ? null : token });
  }

  return node;
}

// Orange above 0, blue below, in square-root steps; where `plain` and nothing is below, blue alone.
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

// A pattern of `n` × `n` bytes in at most `side` × `side` dots, each the largest of what it stands for.
export function thumbnail(canvas, bytes, n, side) {
  const m = Math.min(n, side), found = new Uint8Array(m * m), of = (i) => Math.floor((i * m) / n);
  for (let q = 0; q < n; q++)
    for (let k = 0; k <= q; k++) {
      const cell = of(q) * m + of(k);
      if (bytes[q * n + k] > found[cell]) found[cell] = bytes[q * n + k];
    }
  paint(canvas, m, m, (q, k) => (k > q ? null : ["seq", found[q * m + k] / 255]));
}
