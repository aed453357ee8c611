// One quantity of the residual stream at every layer and token. Hover reads it, click pins the token.

import { choice, fixed, replace, tick } from "./lib/dom.js";
import { drawLayers, frame, Grid } from "./lib/grid.js";
import { actionsOf, of, panel } from "./lib/panel.js";
import { SITE_NAMES } from "./lib/site_names.js";
import { currentToken, option, pin, setOption, state } from "./lib/store.js";

/** @type {Record<string, string>} */
const NAMES = {
  ...SITE_NAMES,
  "cos attn_out": "direction of what attention adds",
  "cos mlp_out": "direction of what the MLP adds",
};
const ROW = 38;

const selected = () => option("quantity", "resid_post", (name) => name in NAMES);

/** @param {Element} element */
export function mount(element) {
  /** @type {Lab.ActivationView} */
  let view;
  let without = true;
  const layers = () => view.norms.shape[1], tokens = () => view.source.tokens;
  const grid = new Grid({
    draw,
    read({ row, column }) {
      const quantity = selected(), layer = layers() - 1 - row,
        title = `layer ${layer}, token ${column} “${tokens()[column]}”`;
      const value = fixed(valueOf(view, quantity, layer, column));
      return { title, rows: [[NAMES[quantity] ?? quantity, value]], words: `${title}: ${value}` };
    },
    hover: (place) => ({ token: place?.column ?? null }),
    pick: ({ column }) => pin(column),
    start: () => ({ row: 0, column: state.selection.token ?? 0 }),
  });
  const found = panel(element, {
    request: of("activations"),
    show(answer) {
      view = answer;
      replace(actionsOf(element), ...controls());
      draw();
    },
    update: (changed) => (["token", "hover", "quantity"].some((name) => changed.has(name)) ? draw() : null),
    draw,
  });
  replace(found.body, grid.canvas, grid.words);

  function controls() {
    const names = [...view.quantities, ...view.cosine_names.map((name) => `cos ${name}`)];
    return [
      choice("Show", names.map((name) => [name, NAMES[name] ?? name]), selected(),
        (name) => setOption("quantity", name, "resid_post")),
      tick("scale without the first token", without, (checked) => {
        without = checked;
        draw();
      }),
    ];
  }

  function draw() {
    const quantity = selected(), [l, n] = [layers(), tokens().length], signed = quantity.startsWith("cos ");
    const chosen = grid.cursor?.column ?? currentToken(), largest = largestOf(view, quantity, without && n > 1 ? 1 : 0);
    const context = drawLayers(grid, { room: found.body.clientWidth, height: ROW, layers: l, tokens: tokens(), chosen,
      shade(layer, t) {
        const x = valueOf(view, quantity, layer, t);
        return signed ? ["div", 0.5 + 0.5 * x] : ["seq", x / largest];
      }, ink: (t) => (t === chosen ? "--lab-ink" : "--lab-muted") });
    const { left, width } = grid.layout;
    if (chosen !== null && chosen < n)
      frame(context, [left + chosen * width, 0, width, ROW * l], state.selection.token === chosen);
    grid.canvas.setAttribute("aria-label",
      `${NAMES[quantity] ?? quantity}: ${l} layers, ${n} tokens. Arrow keys move, Enter pins a token.`);
    grid.rest(signed
      ? "−1 erases, 0 writes elsewhere, 1 reinforces."
      : `L2 norm; the strongest colour is ${fixed(largest, 2)}.`);
    found.root.dataset.largest = fixed(largest);
  }
}

/** @param {Lab.ActivationView} view @param {string} quantity @param {number} layer @param {number} token */
function valueOf(view, quantity, layer, token) {
  const cosine = quantity.startsWith("cos "), [, layers, n] = view.norms.shape;
  const row = cosine ? view.cosine_names.indexOf(quantity.slice(4)) : view.quantities.indexOf(quantity);
  return (cosine ? view.cosines : view.norms).data[(row * layers + layer) * n + token];
}

/** @param {Lab.ActivationView} view @param {string} quantity @param {number} first token that counts */
function largestOf(view, quantity, first) {
  const [, layers, n] = view.norms.shape;
  let largest = 1e-9;
  for (let i = 0; i < layers; i++)
    for (let t = first; t < n; t++) largest = Math.max(largest, valueOf(view, quantity, i, t));
  return largest;
}
