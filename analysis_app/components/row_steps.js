// How one row of one pattern came to be: dot products, scaled scores, mask, softmax. Computed for a locked token.

import { colour, ink } from "./lib/colour.js";
import { clip, fixed, h, replace } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { asked, state } from "./lib/store.js";

const LATER = 5; // of the keys that the mask strikes out, so many are shown

export function mount(element) {
  let row = null;
  const found = panel(element, {
    request({ layer, head, token }) {
      if (token === null) return "Click a token above, or a row of the pattern, to see how its attention is computed.";
      return [["attention_row", { ...asked(), layer, head, query: token }]];
    },
    show(answer) {
      row = answer;
      draw();
    },
    draw,
  });

  function draw() {
    const n = row.source.tokens.length, query = row.query, keys = [...Array(Math.min(n, query + 1 + LATER)).keys()];
    const size = Math.max(...keys.map((k) => Math.abs(row.scores.data[k])), 1e-6),
      sum = Math.max(...row.exponentials.data.slice(0, query + 1), 1e-6);
    const signed = (x) => ["div", 0.5 + 0.5 * (x / size)];
    const lines = [
      ["q · k", "how well the query fits each key", row.dot_products, (k) => signed(row.scores.data[k]), 2],
      [`÷ √${row.d_head}`, "scaled, so that width does not sharpen it", row.scores, (k) => signed(row.scores.data[k]),
        2],
      ["mask", "keys that come later are struck out", row.scores,
        (k) => (k > query ? null : signed(row.scores.data[k])), 2],
      ["exp", "exp(score − largest)", row.exponentials,
        (k) => (k > query ? null : ["seq", row.exponentials.data[k] / sum]), 2],
      ["÷ sum", `divided by ${fixed(row.total, 2)}: the row of the pattern`, row.pattern,
        (k) => (k > query ? null : ["seq", Math.sqrt(row.pattern.data[k])]), 3],
    ];
    const head = h("tr", {}, h("th", { scope: "col" }, "key"),
      ...keys.map((k) =>
        h("th", { scope: "col", class: k === query ? "lab-here" : null }, clip(row.source.tokens[k], 8))
      ));
    const body = lines.map(([name, why, values, shade, digits]) =>
      h("tr", {}, h("th", { scope: "row", title: why }, name, h("small", {}, why)), ...keys.map((k) => {
        const look = shade(k);
        if (look === null) return h("td", { class: "lab-masked" }, name === "mask" ? "−∞" : "0");
        return h("td", { style: { background: colour(...look), color: ink(...look) } }, fixed(values.data[k], digits));
      }))
    );
    replace(found.body,
      h("p", { class: "lab-note" },
        `Layer ${row.layer}, head ${row.head}, query ${query} “${row.source.tokens[query]}”.${
          n > keys.length ? ` The ${n - keys.length} last keys, masked too, are left out.` : ""
        }`),
      h("div", { class: "lab-scroll", tabindex: 0, role: "region", "aria-label": "steps of this row" },
        h("table", { class: "lab-steps" }, h("thead", {}, head), h("tbody", {}, ...body))));
    found.root.dataset.query = state.selection.token;
  }
}
