// The logit lens: what the model would say if it stopped after each layer. Hover tells the guesses, click pins.

import { colour, ink } from "./lib/colour.js";
import { choice, clip, count, fixed, h, hideTip, percent, replace, showTip } from "./lib/dom.js";
import { actionsOf, of, panel } from "./lib/panel.js";
import { option, preview, select, setOption, state } from "./lib/store.js";

const COLOURS = [["probability", "its probability"], ["rank", "rank of the token that came"], ["kl",
  "distance to the final answer"]];

export function mount(element) {
  let view = null, by = option("lens", "probability", (name) => COLOURS.some(([known]) => known === name)), cells = [];
  const place = h("div", { class: "lab-scroll", tabindex: 0, role: "region",
      "aria-label": "guesses after each layer" }), note = h("p", { class: "lab-note" });
  const found = panel(element, { request: of("predictions"), show, update: mark, draw: () => show(view) });
  replace(found.body, place, note);

  function show(answer) {
    view = answer;
    const { rows } = view.lens, { tokens } = view.source;
    replace(actionsOf(element), choice("Colour", COLOURS, by, (value) => {
      by = value;
      setOption("lens", value, "probability");
      show(view);
    }));
    const names = rows.map((name,
      r) => (r === rows.length - 1 ? "after the last" : r ? `before layer ${r}` : "embedding")
    );
    cells = tokens.map(() => []);
    // The last row on top, as the stream flows upwards.
    const body = [...rows.keys()].reverse().map((r) =>
      h("tr", {}, h("th", { scope: "row" }, names[r]), ...tokens.map((_, p) => cell(r, p, names[r])))
    );
    const foot = h("tr", {}, h("th", { scope: "row" }, "read"), ...tokens.map((token, p) => {
      const node = h("th", { scope: "col" }, clip(token, 8));
      cells[p].push(node);
      return node;
    }));
    replace(place, h("table", { class: "lab-lens" }, h("tbody", {}, ...body), h("tfoot", {}, foot)));
    note.textContent =
      "Each cell is the first guess for the next token. Near the start of training all rows but the top one "
      + "mean little.";
    mark();
  }

  function shade(r, p) {
    const n = view.source.tokens.length, lens = view.lens;
    if (by === "probability")
      return ["seq", Math.sqrt(lens.top_probabilities.data[(r * n + p) * lens.top_probabilities.shape[2]])];
    if (by === "kl") return ["warm", Math.min(1, lens.kl_to_final.data[r * n + p] / view.uniform_loss)];
    if (p === n - 1) return null;
    return ["warm", Math.log(lens.target_rank.data[r * (n - 1) + p]) / view.uniform_loss];
  }

  function cell(r, p, name) {
    const look = shade(r, p);
    const node = h("td", {
      style: look ? { background: colour(...look), color: ink(...look) } : {},
      onmouseenter: (event) => {
        preview({ token: p });
        tell(event, r, p, name);
      },
      onmouseleave: () => {
        preview({ token: null });
        hideTip();
      },
      onclick: () => select({ token: state.selection.token === p ? null : p }),
    }, clip(view.lens.top_tokens[r][p][0], 8));
    cells[p].push(node);
    return node;
  }

  function mark() {
    const { token } = state.selection, shown = token ?? state.hover.token;
    cells.forEach((column, p) => column.forEach((node) => node.classList.toggle("lab-here", p === shown)));
  }

  function tell(event, r, p, name) {
    const lens = view.lens, n = view.source.tokens.length, k = lens.top_probabilities.shape[2];
    const guesses = lens.top_tokens[r][p].map((token,
      j) => [token, percent(lens.top_probabilities.data[(r * n + p) * k + j])]
    );
    if (p < n - 1)
      guesses.push([`“${view.source.tokens[p + 1]}” came: rank`, count(lens.target_rank.data[r * (n - 1) + p])], [
        "its loss here",
        fixed(lens.target_loss.data[r * (n - 1) + p]),
      ]);
    guesses.push(["KL to the final answer", fixed(lens.kl_to_final.data[r * n + p])]);
    showTip(event, `${name}, after “${view.source.tokens[p]}”`, guesses);
  }
}
