// The text, each token coloured by how surprised the model was. Hover tells what it had expected, click pins.

import { keyOf } from "./lib/canvas.js";
import { worn } from "./lib/colour.js";
import { chip, count, fixed, h, percent, replace, showTip } from "./lib/dom.js";
import { of, panel } from "./lib/panel.js";
import { markTokens, tokenButton } from "./lib/tokens.js";

/** @param {Element} element */
export function mount(element) {
  /** @type {HTMLElement[]} */
  let buttons = [];
  const text = h("div", { class: "lab-losstext", role: "listbox", "aria-label": "tokens by loss" });
  const sums = h("div", { class: "lab-chips" }), key = h("div", { class: "lab-key" });
  const mark = () => markTokens(buttons);
  const found = panel(element, { request: of("predictions"), draw, update: mark });
  replace(found.body, sums, text, key);

  /** @param {Lab.PredictionView} view */
  function draw(view) {
    buttons = view.source.tokens.map((token, i) => {
      const loss = i ? view.loss.data[i - 1] : null;
      return tokenButton(token, i, { data: { loss: loss === null ? "" : fixed(loss) },
        style: loss === null ? {} : worn("warm", loss / view.uniform_loss),
        "aria-label": loss === null ? `${token}, nothing before it` : `${token}, loss ${fixed(loss)}` },
        (event) => tell(view, event, i));
    });
    replace(text, ...buttons);
    const perplexity = view.mean_loss === null ? null : Math.exp(view.mean_loss);
    replace(sums, chip("mean loss", `${fixed(view.mean_loss)} nats`, "nats per token; lower is better"),
      chip("perplexity", fixed(perplexity, 1), "as if choosing evenly among so many tokens"),
      chip("guessing", `${fixed(view.uniform_loss)} nats`, "ln(vocabulary size)"));
    replace(key, ...lossKey(view.uniform_loss, "the same scale at every step"));
    mark();
  }
}

/** What the colours of losses mean. @param {number} uniform loss of guessing @param {string} note */
export const lossKey = (uniform, note) =>
  keyOf("expected (0)", "warm", `as bad as guessing (${fixed(uniform, 2)} nats)`, note);

/** @param {Lab.PredictionView} view @param {MouseEvent} event @param {number} i */
function tell(view, event, i) {
  if (!i) return showTip(event, `0 “${view.source.tokens[0]}”`, [["nothing was read before it", ""]]);
  const t = i - 1, k = view.top_probabilities.shape[1];
  showTip(event, `${i} “${view.source.tokens[i]}”`, [["loss", `${fixed(view.loss.data[t])} nats`], ["probability",
    percent(view.probability.data[t])], ["rank", count(view.rank.data[t])],
    ...view.top_tokens[t].slice(0, 5).map((name,
      j) => /** @type {Lab.Row} */ ([`guess ${j + 1}: ${name}`, percent(view.top_probabilities.data[t * k + j])])
    )]);
}
