// One hidden unit of an MLP: what it does at each token of the text, and which of its layer this text moves most.

import { colour, ink } from "./lib/colour.js";
import { fixed, h, hideTip, replace, showTip, wholeNumber } from "./lib/dom.js";
import { actionsOf, panel } from "./lib/panel.js";
import { asked, option, preview, select, setOption, state } from "./lib/store.js";

// The unit that the address names, if the model has it.
export function unitOf() {
  const most = (state.info?.model?.d_mlp ?? 1) - 1;
  return Math.min(most, Number(option("unit", "0", (text) => /^\d{1,9}$/.test(text))));
}

export function mount(element) {
  let view = null, chips = [];
  const text = h("div", { class: "lab-losstext", role: "listbox", "aria-label": "tokens by this unit’s activation" });
  const strongest = h("div", { class: "lab-chips" }), words = h("p", { class: "lab-reading", "aria-live": "polite" });
  const found = panel(element, {
    request: ({ layer, token }) => [["neuron", { ...asked(), layer, unit: unitOf(), position: token }]],
    show(answer) {
      view = answer;
      draw();
    },
    update: mark,
    draw,
  });
  replace(found.body, text, words, h("h3", { class: "lab-subtitle" }, "Strongest here"), strongest);

  function draw() {
    const { layer, unit, source } = view, values = view.activation.data, size = Math.max(1e-6, ...values.map(Math.abs));
    const layers = Array.from({ length: state.info.model.n_layers }, (_, i) => [String(i), `layer ${i}`]);
    replace(actionsOf(element), layerChoice(layers, layer),
      wholeNumber("unit", unit, view.n_units - 1, (n) => setOption("unit", n, 0)));
    chips = source.tokens.map((token, i) => {
      const shade = ["div", 0.5 + (0.5 * values[i]) / size];
      return h("button", {
        class: "lab-token",
        role: "option",
        data: { position: i, value: fixed(values[i]) },
        style: { background: colour(...shade), color: ink(...shade) },
        "aria-label": `${token}, ${fixed(values[i])}`,
        onmouseenter: (event) => {
          preview({ token: i });
          showTip(event, `${i} “${token}”`, [[`unit ${unit} of layer ${layer}`, fixed(values[i])]]);
        },
        onmouseleave: () => {
          preview({ token: null });
          hideTip();
        },
        onfocus: () => {
          words.textContent = `${i} “${token}”: ${fixed(values[i])}`;
        },
        onclick: () => select({ token: state.selection.token === i ? null : i }),
        onkeydown: (event) => move(event, i),
      }, token);
    });
    replace(text, ...chips);
    const where = view.position === null
      ? "anywhere in this text"
      : `at token ${view.position} “${source.tokens[view.position]}”`;
    replace(strongest, h("span", { class: "lab-note" }, `Units of layer ${layer} that fire most ${where}:`),
      ...Array.from(view.strongest.data,
        (n, i) =>
          h("button", { class: "lab-preset", "aria-pressed": String(n === unit), data: { unit: n }, onclick: () =>
            setOption("unit", n, 0) }, `${n} `, h("b", {}, fixed(view.strongest_values.data[i], 2)))));
    words.textContent = `Largest: ${fixed(Math.max(...values))}, least: ${fixed(Math.min(...values))}.`;
    found.root.dataset.unit = `${layer}.${unit}`;
    mark();
  }

  function layerChoice(layers, layer) {
    const options = layers.map(([value, name]) => h("option", { value }, name));
    const node = h("select", { "aria-label": "layer", onchange: () => select({ layer: Number(node.value) }) },
      ...options);
    node.value = String(layer);
    return node;
  }

  function move(event, i) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    chips[Math.min(chips.length - 1, Math.max(0, i + step))].focus();
  }

  function mark() {
    const { token } = state.selection;
    chips.forEach((chip, i) => {
      chip.classList.toggle("lab-chosen", i === token);
      chip.classList.toggle("lab-previewed", i === state.hover.token && i !== token);
      chip.setAttribute("aria-selected", String(i === token));
      chip.tabIndex = i === (token ?? 0) ? 0 : -1;
    });
  }
}
