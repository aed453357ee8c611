// One quantity of the residual stream at every layer and token. Hover reads it, click pins the token.

import { picture, prepare } from "./lib/canvas.js";
import { css } from "./lib/colour.js";
import { choice, clip, fixed, h, hideTip, replace, showTip } from "./lib/dom.js";
import { actionsOf, of, panel } from "./lib/panel.js";
import { currentToken, option, preview, select, setOption, state } from "./lib/store.js";

const NAMES = {
  resid_pre: "stream before attention",
  attn_out: "attention adds",
  resid_mid: "stream after attention",
  mlp_out: "MLP adds",
  resid_post: "stream after the MLP",
  "cos attn_out": "direction of what attention adds",
  "cos mlp_out": "direction of what the MLP adds",
};
const LEFT = 60, ROW = 38;

export function mount(element) {
  let view = null, quantity = option("quantity", "resid_post", (name) => name in NAMES), without = true, cell = 10,
    cursor = null;
  const canvas = h("canvas", { class: "lab-map", tabindex: 0, role: "application" }),
    words = h("p", { class: "lab-reading", "aria-live": "polite" });
  const found = panel(element, {
    request: of("activations"),
    show(answer) {
      view = answer;
      controls();
      draw();
    },
    update: (changed) => (["token", "hover"].some((name) => changed.has(name)) ? draw() : null),
    draw,
  });
  replace(found.body, canvas, words);
  canvas.addEventListener("mousemove", (event) => point(event, at(event)));
  canvas.addEventListener("mouseleave", () => {
    cursor = null;
    preview({ token: null });
    hideTip();
  });
  canvas.addEventListener("click", (event) => pin(at(event)?.token));
  canvas.addEventListener("keydown", move);

  const layers = () => view.norms.shape[1], tokens = () => view.source.tokens;

  function value(layer, token) {
    const cosine = quantity.startsWith("cos "), n = tokens().length;
    const row = cosine ? view.cosine_names.indexOf(quantity.slice(4)) : view.quantities.indexOf(quantity);
    return (cosine ? view.cosines : view.norms).data[(row * layers() + layer) * n + token];
  }

  function controls() {
    const first = h("input", { type: "checkbox", onchange: () => {
      without = first.checked;
      draw();
    } });
    first.checked = without;
    const names = [...view.quantities, ...view.cosine_names.map((name) => `cos ${name}`)].map((
      name,
    ) => [name, NAMES[name] ?? name]);
    replace(actionsOf(element), choice("Show", names, quantity, (name) => {
      quantity = name;
      setOption("quantity", name, "resid_post");
      draw();
    }), h("label", { class: "lab-choice" }, first, h("span", {}, "scale without the first token")));
  }

  function draw() {
    const [l, n] = [layers(), tokens().length], signed = quantity.startsWith("cos ");
    cell = Math.min(34, (found.body.clientWidth - LEFT - 6) / n);
    let largest = 1e-9;
    for (let i = 0; i < l; i++)
      for (let t = without && n > 1 ? 1 : 0; t < n; t++) largest = Math.max(largest, value(i, t));
    const image = picture(l, n, (row, t) => {
      const x = value(l - 1 - row, t);
      return signed ? ["div", 0.5 + 0.5 * x] : ["seq", x / largest];
    });
    const longest = Math.max(...tokens().map((token) => Math.min(8, [...token].length)));
    const context = prepare(canvas, LEFT + cell * n + 2, ROW * l + 14 + 7 * longest);
    context.imageSmoothingEnabled = false;
    context.drawImage(image, LEFT, 0, cell * n, ROW * l);
    context.font = `11px ${css("--font-mono") || "monospace"}`;
    context.textBaseline = "middle";
    context.fillStyle = css("--lab-muted");
    for (let i = 0; i < l; i++) context.fillText(`layer ${i}`, 0, ROW * (l - 1 - i) + ROW / 2);
    const chosen = cursor?.token ?? currentToken(), every = Math.ceil(8 / cell);
    for (let t = 0; t < n; t++) {
      if (t !== chosen && (t % every || (chosen !== null && Math.abs(t - chosen) * cell < 11))) continue;
      context.fillStyle = css(t === chosen ? "--lab-ink" : "--lab-muted");
      context.save();
      context.translate(LEFT + (t + 0.5) * cell, ROW * l + 6);
      context.rotate(-Math.PI / 2);
      context.textAlign = "right";
      context.fillText(clip(tokens()[t], 8), 0, 0);
      context.restore();
    }
    if (chosen !== null && chosen < n) {
      context.strokeStyle = css("--lab-mark");
      context.lineWidth = state.selection.token === chosen ? 2 : 1;
      context.strokeRect(LEFT + chosen * cell + 0.5, 0.5, Math.max(2, cell - 1), ROW * l - 1);
    }
    canvas.setAttribute("aria-label",
      `${NAMES[quantity] ?? quantity}: ${l} layers, ${n} tokens. Arrow keys move, Enter pins a token.`);
    if (!cursor)
      words.textContent = signed
        ? "−1 erases, 0 writes elsewhere, 1 reinforces."
        : `L2 norm; the strongest colour is ${fixed(largest, 2)}.`;
    found.root.dataset.largest = fixed(largest, 3);
  }

  function at(event) {
    const box = canvas.getBoundingClientRect(), l = layers();
    const token = Math.floor((event.clientX - box.left - LEFT) / cell),
      layer = l - 1 - Math.floor((event.clientY - box.top) / ROW);
    return token >= 0 && token < tokens().length && layer >= 0 && layer < l ? { token, layer } : null;
  }

  function point(event, place) {
    if (place?.token === cursor?.token && place?.layer === cursor?.layer) return;
    cursor = place;
    preview({ token: place?.token ?? null });
    draw();
    if (!place) return hideTip();
    showTip(event, say(), [[NAMES[quantity] ?? quantity, fixed(value(place.layer, place.token), 3)]]);
  }

  function say() {
    const title = `layer ${cursor.layer}, token ${cursor.token} “${tokens()[cursor.token]}”`;
    words.textContent = `${title}: ${fixed(value(cursor.layer, cursor.token), 3)}`;
    return title;
  }

  function pin(token) {
    if (token !== undefined) select({ token: state.selection.token === token ? null : token });
  }

  function move(event) {
    const step = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (event.key === "Enter" && cursor) return pin(cursor.token);
    if (!step) return;
    event.preventDefault();
    const from = cursor ?? { layer: layers() - 1, token: state.selection.token ?? 0 };
    cursor = { layer: Math.min(layers() - 1, Math.max(0, from.layer + step[0])),
      token: Math.min(tokens().length - 1, Math.max(0, from.token + step[1])) };
    draw();
    say();
  }
}
