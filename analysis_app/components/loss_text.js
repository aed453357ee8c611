// The text, each token coloured by how surprised the model was. Hover tells what it had expected, click pins.

import { paint } from "./lib/canvas.js";
import { colour, ink } from "./lib/colour.js";
import { count, fixed, h, hideTip, percent, replace, showTip } from "./lib/dom.js";
import { of, panel } from "./lib/panel.js";
import { preview, select, state } from "./lib/store.js";

export function mount(element) {
  let view = null, chips = [];
  const text = h("div", { class: "lab-losstext", role: "listbox", "aria-label": "tokens by loss" }),
    sums = h("div", { class: "lab-chips" }),
    key = h("div", { class: "lab-key" });
  const found = panel(element, { request: of("predictions"), show, update: mark, draw: () => show(view) });
  replace(found.body, sums, text, key);

  function show(answer) {
    view = answer;
    const { tokens } = view.source;
    chips = tokens.map((token, i) =>
      h("button", {
        class: "lab-token",
        role: "option",
        data: { position: i, loss: i ? fixed(view.loss.data[i - 1]) : "" },
        style: look(i),
        "aria-label": i ? `${token}, loss ${fixed(view.loss.data[i - 1])}` : `${token}, nothing before it`,
        onmouseenter: (event) => {
          preview({ token: i });
          tell(event, i);
        },
        onmouseleave: () => {
          preview({ token: null });
          hideTip();
        },
        onclick: () => select({ token: state.selection.token === i ? null : i }),
      }, token)
    );
    replace(text, ...chips);
    const chip = (name, value, why) =>
      h("span", { class: "lab-chip", title: why, data: { fact: name } }, `${name} `, h("b", {}, value));
    replace(sums, chip("mean loss", `${fixed(view.mean_loss)} nats`, "nats per token; lower is better"),
      chip("perplexity", fixed(Math.exp(view.mean_loss), 1), "as if choosing evenly among so many tokens"),
      chip("guessing", `${fixed(view.uniform_loss)} nats`, "ln(vocabulary size)"));
    const ramp = paint(h("canvas", { class: "lab-ramp", "aria-hidden": "true" }), 1, 64, (_, i) => ["warm", i / 63]);
    replace(key, h("span", {}, "expected (0)"), ramp,
      h("span", {}, `as bad as guessing (${fixed(view.uniform_loss, 2)} nats)`),
      h("span", { class: "lab-note" }, "the same scale at every step"));
    mark();
  }

  function look(i) {
    if (!i) return {};
    const value = view.loss.data[i - 1] / view.uniform_loss;
    return { background: colour("warm", value), color: ink("warm", value) };
  }

  function mark() {
    const { token } = state.selection;
    chips.forEach((chip, i) => {
      chip.classList.toggle("lab-chosen", i === token);
      chip.classList.toggle("lab-previewed", i === state.hover.token && i !== token);
      chip.tabIndex = i === (token ?? 0) ? 0 : -1;
    });
  }

  function tell(event, i) {
    if (!i) return showTip(event, `0 “${view.source.tokens[0]}”`, [["nothing was read before it", ""]]);
    const t = i - 1, k = view.top_probabilities.shape[1];
    const guesses = view.top_tokens[t].slice(0, 5).map((name,
      j) => [`guess ${j + 1}: ${name}`, percent(view.top_probabilities.data[t * k + j])]
    );
    showTip(event, `${i} “${view.source.tokens[i]}”`, [["loss", `${fixed(view.loss.data[t])} nats`], ["probability",
      percent(view.probability.data[t])], ["rank", count(view.rank.data[t])], ...guesses]);
  }
}
