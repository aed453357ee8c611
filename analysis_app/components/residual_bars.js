// How the stream of one token grows through the layers, and what attention and MLP add to it.

import { bar, filled } from "./lib/bars.js";
import { fixed, h, hideTip, replace, showTip } from "./lib/dom.js";
import { of, panel, TOKEN } from "./lib/panel.js";
import { SITE_NAMES } from "./lib/site_names.js";
import { currentToken } from "./lib/store.js";

const SHOWN = Object.entries(SITE_NAMES);

/** @param {Element} element */
export function mount(element) {
  const found = panel(element, { request: of("activations"), draw, redraws: TOKEN });

  /** @param {Lab.ActivationView} view */
  function draw(view) {
    const [, layers, n] = view.norms.shape, token = Math.min(n - 1, currentToken() ?? n - 1);
    const all = [...Array(layers).keys()];
    const values = all.map((layer) =>
      SHOWN.map(([name]) => view.norms.data[(view.quantities.indexOf(name) * layers + layer) * n + token])
    );
    const largest = Math.max(1e-9, ...values.flat());
    const rows = all.map((layer) =>
      h("div", { class: "lab-layer" }, h("b", {}, `layer ${layer}`), h("div", {}, ...SHOWN.map(([name, text], i) =>
        bar(text, [filled(values[layer][i] / largest)], [h("b", {}, fixed(values[layer][i], 2))], { role: null,
          class: `lab-bar lab-bar-thin lab-${name.endsWith("out") ? "branch" : "stream"}`,
          data: { quantity: name, layer }, ...(name === "attn_out" ? tellsHeads(view, layer, token) : {}) })
      )))
    );
    replace(found.body,
      h("p", { class: "lab-note" },
        `Token ${token} “${view.source.tokens[token]}”. L2 norms; a layer’s last is the next one’s first.`), ...rows);
    found.root.dataset.token = String(token);
  }
}

/** @param {Lab.ActivationView} view @param {number} layer @param {number} token @returns {Lab.Attributes} */
function tellsHeads(view, layer, token) {
  const { shape: [, heads, n], data } = view.head_norms;
  return { onmouseleave: hideTip,
    onmouseenter: (event) =>
      showTip(event, `layer ${layer}: what each head writes`,
        Array.from({ length: heads },
          (_, i) => [`head ${layer}.${i}`, fixed(data[(layer * heads + i) * n + token], 2)])) };
}
