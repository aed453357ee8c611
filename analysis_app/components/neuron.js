// One hidden unit of an MLP: what it does at each token of the text, and which of its layer this text moves most.

import { worn } from "./lib/colour.js";
import { fixed, h, replace, showTip, wholeNumber } from "./lib/dom.js";
import { actionsOf, panel } from "./lib/panel.js";
import { asked, option, select, setOption, state } from "./lib/store.js";
import { markTokens, moveAlong, tokenButton } from "./lib/tokens.js";

/** The unit that the address names, if the model has it. */
export function unitOf() {
  const most = (state.info?.model?.d_mlp ?? 1) - 1;
  return Math.min(most, Number(option("unit", "0", (text) => /^\d{1,9}$/.test(text))));
}

/** @param {Element} element */
export function mount(element) {
  /** @type {HTMLElement[]} */
  let buttons = [];
  const text = h("div", { class: "lab-losstext", role: "listbox", "aria-label": "tokens by this unit’s activation" });
  const strongest = h("div", { class: "lab-chips" }), words = h("p", { class: "lab-reading", "aria-live": "polite" });
  const found = panel(element, {
    request: ({ layer, token }) => [["neuron", { ...asked(), layer, unit: unitOf(), position: token }]],
    update: () => markTokens(buttons),
    draw,
  });
  replace(found.body, text, words, h("h3", { class: "lab-subtitle" }, "Strongest here"), strongest);

  /** @param {Lab.NeuronView} view */
  function draw(view) {
    const { layer, unit, n_units: units } = view, values = view.activation.data;
    const size = Math.max(1e-6, ...values.map(Math.abs));
    replace(actionsOf(element), layerChoice(layer),
      wholeNumber("unit", unit, units - 1, (n) => setOption("unit", n, 0)));
    buttons = view.source.tokens.map((token, i) => {
      const value = fixed(values[i]);
      return tokenButton(token, i, { data: { value }, style: worn("div", 0.5 + (0.5 * values[i]) / size),
        "aria-label": `${token}, ${value}`, onfocus: () => {
          words.textContent = `${i} “${token}”: ${value}`;
        }, onkeydown: (event) => moveAlong(event, buttons, i) },
        (event) => showTip(event, `${i} “${token}”`, [[`unit ${unit} of layer ${layer}`, value]]));
    });
    replace(text, ...buttons);
    replace(strongest, ...strongestOf(view));
    words.textContent = `Largest: ${fixed(Math.max(...values))}, least: ${fixed(Math.min(...values))}.`;
    found.root.dataset.unit = `${layer}.${unit}`;
    markTokens(buttons);
  }
}

/** @param {Lab.NeuronView} view */
function strongestOf({ layer, unit, position, source, strongest, strongest_values: values }) {
  const where = position === null ? "anywhere in this text" : `at token ${position} “${source.tokens[position]}”`;
  return [
    h("span", { class: "lab-note" }, `Units of layer ${layer} that fire most ${where}:`),
    ...Array.from(strongest.data,
      (n, i) =>
        h("button", { class: "lab-preset", "aria-pressed": String(n === unit), data: { unit: n }, onclick: () =>
          setOption("unit", n, 0) }, `${n} `, h("b", {}, fixed(values.data[i], 2)))),
  ];
}

/** @param {number} layer */
function layerChoice(layer) {
  const layers = [...Array(state.info?.model?.n_layers ?? 0).keys()];
  const node = h("select", { "aria-label": "layer", onchange: () => {
    select({ layer: Number(node.value) });
  } }, ...layers.map((i) => h("option", { value: i }, `layer ${i}`)));
  node.value = String(layer);
  return node;
}
