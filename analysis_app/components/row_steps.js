// How one row of one pattern came to be: dot products, scaled scores, mask, softmax. Computed for a locked token.

import { worn } from "./lib/colour.js";
import { clip, fixed, h, replace } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { asked, state } from "./lib/store.js";

const LATER = 5; // of the keys that the mask strikes out, so many are shown

/** @param {Element} element */
export function mount(element) {
  const found = panel(element, {
    request({ layer, head, token }) {
      if (token === null) return "Click a token above, or a row of the pattern, to see how its attention is computed.";
      return [["attention_row", { ...asked(), layer, head, query: token }]];
    },
    draw,
  });

  /** @param {Lab.RowView} row */
  function draw(row) {
    const { query, source: { tokens } } = row, left = Math.max(0, tokens.length - (query + 1 + LATER));
    const keys = [...tokens.keys()].slice(0, query + 1 + LATER);
    const head = h("tr", {}, h("th", { scope: "col" }, "key"),
      ...keys.map((k) => h("th", { scope: "col", class: k === query ? "lab-here" : null }, clip(tokens[k], 8))));
    const body = linesOf(row, keys).map(({ name, why, values, shade, digits = 2 }) =>
      h("tr", {}, h("th", { scope: "row", title: why }, name, h("small", {}, why)), ...keys.map((k) => {
        const look = shade(k);
        if (look === null) return h("td", { class: "lab-masked" }, name === "mask" ? "−∞" : "0");
        return h("td", { style: worn(...look) }, fixed(values.data[k], digits));
      }))
    );
    replace(found.body,
      h("p", { class: "lab-note" },
        `Layer ${row.layer}, head ${row.head}, query ${query} “${tokens[query]}”.${
          left ? ` The ${left} last keys, masked too, are left out.` : ""
        }`),
      h("div", { class: "lab-scroll", tabindex: 0, role: "region", "aria-label": "steps of this row" },
        h("table", { class: "lab-steps" }, h("thead", {}, head), h("tbody", {}, ...body))));
    found.root.dataset.query = String(state.selection.token);
  }
}

/** @typedef {(key: number) => Lab.Shade | null} Shader null where the mask strikes out */

/**
 * The steps, one after the other.
 * @param {Lab.RowView} row
 * @param {number[]} keys
 * @returns {{ name: string, why: string, values: Lab.Numbers, shade: Shader, digits?: number }[]}
 */
function linesOf({ query, scores, exponentials, pattern, dot_products: products, d_head: width, total }, keys) {
  const size = Math.max(...keys.map((k) => Math.abs(scores.data[k])), 1e-6);
  const sum = Math.max(...exponentials.data.slice(0, query + 1), 1e-6);
  /** @type {Shader} */
  const signed = (k) => ["div", 0.5 + 0.5 * (scores.data[k] / size)];
  /** @param {Shader} shade @returns {Shader} */
  const masked = (shade) => (k) => (k > query ? null : shade(k));
  return [
    { name: "q · k", why: "how well the query fits each key", values: products, shade: signed },
    { name: `÷ √${width}`, why: "scaled, so that width does not sharpen it", values: scores, shade: signed },
    { name: "mask", why: "keys that come later are struck out", values: scores, shade: masked(signed) },
    { name: "exp", why: "exp(score − largest)", values: exponentials,
      shade: masked((k) => ["seq", exponentials.data[k] / sum]) },
    { name: "÷ sum", why: `divided by ${fixed(total, 2)}: the row of the pattern`, values: pattern,
      shade: masked((k) => ["seq", Math.sqrt(pattern.data[k])]), digits: 3 },
  ];
}
