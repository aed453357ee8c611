// Direct logit attribution: what each part of the model added to the logit of its first guess.

import { bar, signed } from "./lib/bars.js";
import { fixed, h, replace } from "./lib/dom.js";
import { of, panel, TOKEN } from "./lib/panel.js";
import { currentToken, selectHead } from "./lib/store.js";

const SHOWN = 16;
/** @type {Record<string, string>} */
const NAMES = { embed: "token embedding", pos_embed: "position embedding", ln_final_bias: "final norm’s bias" };

/** @param {Element} element */
export function mount(element) {
  const title = h("p", { class: "lab-note" }), check = h("p", { class: "lab-note" });
  const bars = h("div", { class: "lab-bars lab-signed", role: "list" });
  const found = panel(element, { request: of("predictions"), draw, redraws: TOKEN });
  replace(found.body, title, bars, check);

  /** @param {Lab.PredictionView} view */
  function draw({ attribution, attribution_missing: missing, source: { tokens } }) {
    if (!attribution) {
      replace(bars);
      check.textContent = "";
      title.textContent = missing;
      return;
    }
    const n = tokens.length, p = Math.min(n - 1, currentToken() ?? n - 1), logit = attribution.logits.data[p];
    const parts = attribution.parts.map((name, i) => ({ name, value: attribution.values.data[i * n + p] }));
    parts.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    const shown = parts.slice(0, SHOWN), largest = Math.max(1e-9, ...shown.map((part) => Math.abs(part.value)));
    title.textContent = `After “${tokens[p]}” the first guess is “${attribution.targets[p]}”, with a logit ${
      fixed(logit, 2)
    } above the vocabulary’s mean.`;
    replace(bars,
      ...shown.map(({ name, value }) => bar(named(name), [signed(value / largest)], [h("b", {}, fixed(value, 2))])));
    const sum = parts.reduce((total, part) => total + part.value, 0), off = Math.abs(sum - logit).toExponential(0);
    check.textContent = `Sum check: all ${parts.length} parts add up to ${fixed(sum)}, the logit less the mean is ${
      fixed(logit)
    } (off by ${off} here, by at most ${attribution.error.toExponential(0)} anywhere).`;
    found.root.dataset.sum = fixed(sum);
  }
}

/** A part by its name; a head leads to its pattern. @param {string} part */
function named(part) {
  const [, l, i] = /^L(\d+)H(\d+)$/.exec(part) ?? [];
  if (i) {
    return h("button", { class: "lab-link", title: "look at this head", onclick: () =>
      selectHead(Number(l), Number(i)) }, `head ${l}.${i}`);
  }
  const [, layer, kind] = /^(\d+)_(attn_bias|mlp_out)$/.exec(part) ?? [];
  if (layer) return `${kind === "mlp_out" ? "MLP" : "attention bias"} ${layer}`;
  return NAMES[part] ?? part;
}
