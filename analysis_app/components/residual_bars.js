// How the stream of one token grows through the layers, and what attention and MLP add to it.

import { fixed, h, hideTip, replace, showTip } from "./lib/dom.js";
import { of, panel } from "./lib/panel.js";
import { currentToken } from "./lib/store.js";

const SHOWN = [["resid_pre", "before attention"], ["attn_out", "attention adds"], ["resid_mid", "after attention"], [
  "mlp_out",
  "MLP adds",
], ["resid_post", "after the MLP"]];

export function mount(element) {
  let view = null;
  const found = panel(element, {
    request: of("activations"),
    show(answer) {
      view = answer;
      draw();
    },
    update: (changed) => (changed.has("token") || changed.has("hover") ? draw() : null),
    draw,
  });

  function draw() {
    const [, layers, n] = view.norms.shape, token = Math.min(n - 1, currentToken() ?? n - 1);
    const value = (name, layer) => view.norms.data[(view.quantities.indexOf(name) * layers + layer) * n + token];
    const heads = (layer) =>
      Array.from({ length: view.head_norms.shape[1] },
        (_,
          i) => [`head ${layer}.${i}`,
          fixed(view.head_norms.data[(layer * view.head_norms.shape[1] + i) * n + token], 2)]);
    const largest = Math.max(1e-9,
      ...Array.from({ length: layers }, (_, layer) => SHOWN.map(([name]) => value(name, layer))).flat());
    const rows = Array.from({ length: layers },
      (_, layer) =>
        h("div", { class: "lab-layer" }, h("b", {}, `layer ${layer}`), h("div", {}, ...SHOWN.map(([name, text]) =>
          h("div", { class: `lab-bar lab-bar-thin lab-${name.endsWith("out") ? "branch" : "stream"}`,
            data: { quantity: name, layer }, ...(name === "attn_out"
              ? { onmouseenter: (event) =>
                showTip(event, `layer ${layer}: what each head writes`, heads(layer)), onmouseleave: hideTip }
              : {}) }, h("span", { class: "lab-bar-name" }, text),
            h("span", { class: "lab-bar-track" },
              h("i", { class: "lab-bar-now", style: { width: `${(100 * value(name, layer)) / largest}%` } })),
            h("span", { class: "lab-bar-value" }, h("b", {}, fixed(value(name, layer), 2))))
        ))));
    replace(found.body,
      h("p", { class: "lab-note" },
        `Token ${token} “${view.source.tokens[token]}”. L2 norms; a layer’s last is the next one’s first.`), ...rows);
    found.root.dataset.token = token;
  }
}
