// Direct logit attribution: what each part of the model added to the logit of its first guess.

import { fixed, h, replace } from "./lib/dom.js";
import { of, panel } from "./lib/panel.js";
import { currentToken, lockHead, select } from "./lib/store.js";

const SHOWN = 16;

export function mount(element) {
  let view = null;
  const title = h("p", { class: "lab-note" }), bars = h("div", { class: "lab-bars lab-signed", role: "list" }),
    check = h("p", { class: "lab-note" });
  const found = panel(element, {
    request: of("predictions"),
    show(answer) {
      view = answer;
      draw();
    },
    update: (changed) => (changed.has("token") || changed.has("hover") ? draw() : null),
    draw,
  });
  replace(found.body, title, bars, check);

  function draw() {
    const found_ = view.attribution;
    if (!found_) {
      replace(bars);
      check.textContent = "";
      title.textContent = view.attribution_missing;
      return;
    }
    const n = view.source.tokens.length, p = Math.min(n - 1, currentToken() ?? n - 1);
    const parts = found_.parts.map((name, i) => ({ name, value: found_.values.data[i * n + p] }));
    parts.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    const shown = parts.slice(0, SHOWN), largest = Math.max(1e-9, ...shown.map((part) => Math.abs(part.value)));
    title.textContent = `After “${view.source.tokens[p]}” the first guess is “${found_.targets[p]}”, with a logit of ${
      fixed(found_.logits.data[p], 2)
    }.`;
    replace(bars, ...shown.map(({ name, value }) => {
      const width = `${(50 * Math.abs(value)) / largest}%`,
        side = value < 0 ? { right: "50%", width } : { left: "50%", width };
      const at = /^L(\d+)H(\d+)$/.exec(name);
      const text = at
        ? h("button", { class: "lab-link", title: "look at this head", onclick: () => {
          lockHead(true);
          select({ layer: Number(at[1]), head: Number(at[2]) });
        } }, `head ${at[1]}.${at[2]}`)
        : named(name);
      return h("div", { class: "lab-bar", role: "listitem" }, h("span", { class: "lab-bar-name" }, text),
        h("span", { class: "lab-bar-track" },
          h("i", { class: value < 0 ? "lab-bar-minus" : "lab-bar-now", style: side })),
        h("span", { class: "lab-bar-value" }, h("b", {}, fixed(value, 2))));
    }));
    const sum = parts.reduce((total, part) => total + part.value, 0);
    const logit = found_.logits.data[p], off = Math.abs(sum - logit);
    check.textContent = `Sum check: all ${parts.length} parts add up to ${fixed(sum, 3)}, the logit is ${
      fixed(logit, 3)
    } (off by ${off.toExponential(0)} here, by at most ${found_.error.toExponential(0)} anywhere).`;
    found.root.dataset.sum = fixed(sum, 3);
  }
}

function named(part) {
  const layer = /^(\d+)_(attn_bias|mlp_out)$/.exec(part);
  if (layer) return layer[2] === "mlp_out" ? `MLP ${layer[1]}` : `attention bias ${layer[1]}`;
  return { embed: "token embedding", pos_embed: "position embedding", ln_final_bias: "final norm’s bias" }[part]
    ?? part;
}
