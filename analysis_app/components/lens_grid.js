// The logit lens: what the model would say if it stopped after each layer. Hover tells the guesses, click pins.

import { worn } from "./lib/colour.js";
import { choice, clip, count, fixed, h, percent, replace, showTip } from "./lib/dom.js";
import { actionsOf, of, panel } from "./lib/panel.js";
import { currentToken, option, setOption } from "./lib/store.js";
import { points } from "./lib/tokens.js";

/** @type {[string, string][]} */
const COLOURS = [["probability", "its probability"], ["rank", "rank of the token that came"], ["kl",
  "distance to the final answer"]];

const by = () => option("lens", "probability", (name) => COLOURS.some(([known]) => known === name));

/** @param {Element} element */
export function mount(element) {
  /** @type {HTMLElement[][]} of each token */
  let columns = [];
  const place = h("div", { class: "lab-scroll", tabindex: 0, role: "region",
    "aria-label": "guesses after each layer" });
  const note = h("p", { class: "lab-note" },
    "Each cell is the first guess for the next token. Near the start of training all rows but the top one "
      + "mean little.");
  const found = panel(element, { request: of("predictions"), draw, redraws: ["lens"], update: mark });
  replace(found.body, place, note);

  /** @param {Lab.PredictionView} view */
  function draw(view) {
    const { rows } = view.lens, { tokens } = view.source;
    replace(actionsOf(element), choice("Colour", COLOURS, by(), (value) => setOption("lens", value, "probability")));
    const names = rows.map((_,
      r) => (r === rows.length - 1 ? "after the last" : r ? `before layer ${r}` : "embedding")
    );
    columns = tokens.map((token,
      p) => [...rows.map((_, r) => cell(view, r, p, names[r])), h("th", { scope: "col" }, clip(token, 8))]
    );
    // The last row on top, as the stream flows upwards.
    const body = [...rows.keys()].reverse().map((r) =>
      h("tr", {}, h("th", { scope: "row" }, names[r]), ...columns.map((column) => column[r]))
    );
    const foot = h("tr", {}, h("th", { scope: "row" }, "read"), ...columns.map((column) => column[rows.length]));
    replace(place, h("table", { class: "lab-lens" }, h("tbody", {}, ...body), h("tfoot", {}, foot)));
    mark();
  }

  function mark() {
    const shown = currentToken();
    columns.forEach((column, p) => column.forEach((node) => node.classList.toggle("lab-here", p === shown)));
  }
}

/** @param {Lab.PredictionView} view @param {number} r @param {number} p @param {string} name of the row */
function cell(view, r, p, name) {
  const shade = shadeOf(view, r, p);
  return h("td", { style: shade ? worn(...shade) : {}, ...points(p, (event) => tell(view, event, r, p, name)) },
    clip(view.lens.top_tokens[r][p][0], 8));
}

/** @param {Lab.PredictionView} view @param {number} r @param {number} p @returns {Lab.Shade | null} */
function shadeOf({ lens, source, uniform_loss: uniform }, r, p) {
  const n = source.tokens.length, { data, shape } = lens.top_probabilities;
  if (by() === "probability") return ["seq", Math.sqrt(data[(r * n + p) * shape[2]])];
  if (by() === "kl") return ["warm", Math.min(1, lens.kl_to_final.data[r * n + p] / uniform)];
  return p === n - 1 ? null : ["warm", Math.log(lens.target_rank.data[r * (n - 1) + p]) / uniform];
}

/**
 * @param {Lab.PredictionView} view
 * @param {MouseEvent} event
 * @param {number} r
 * @param {number} p
 * @param {string} name of the row
 */
function tell({ lens, source: { tokens } }, event, r, p, name) {
  const n = tokens.length, { data, shape: [, , k] } = lens.top_probabilities;
  /** @type {Lab.Row[]} */
  const guesses = lens.top_tokens[r][p].map((token, j) => [token, percent(data[(r * n + p) * k + j])]);
  if (p < n - 1) {
    guesses.push([`“${tokens[p + 1]}” came: rank`, count(lens.target_rank.data[r * (n - 1) + p])], ["its loss here",
      fixed(lens.target_loss.data[r * (n - 1) + p])]);
  }
  guesses.push(["KL to the final answer", fixed(lens.kl_to_final.data[r * n + p])]);
  showTip(event, `${name}, after “${tokens[p]}”`, guesses);
}
