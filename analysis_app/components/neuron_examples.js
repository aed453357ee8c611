// Where in the validation text that unit fires most. The text is read once for all units of these weights.

import { worn } from "./lib/colour.js";
import { count, fixed, h, percent, replace } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { option, setOption } from "./lib/store.js";
import { unitOf } from "./neuron.js";

const WHAT =
  "The tokens of the run’s validation slice at which this unit is most active, with what stands around them.";

/** @param {Element} element */
export function mount(element) {
  const list = h("ol", { class: "lab-examples" }), note = h("p", { class: "lab-note" });
  const found = panel(element, {
    request({ run, step, layer }) {
      if (option("examples", "no") !== "yes")
        return { empty: WHAT, action: ["Scan the validation slice", () => setOption("examples", "yes", "no")] };
      return [["neuron_examples", { run, step, layer, unit: unitOf() }, "long"]];
    },
    draw,
  });
  replace(found.body, note, list);

  /** @param {Lab.ExamplesView} view */
  function draw(view) {
    const { examples } = view, largest = Math.max(1e-6, examples[0]?.value ?? 0);
    note.textContent = `Unit ${view.unit} of layer ${view.layer} is on at ${percent(view.on_rate)} of ${
      count(view.n_tokens)
    } tokens. Its ${examples.length} strongest:`;
    replace(list,
      ...examples.map(({ value, tokens, at, position }) =>
        h("li", { data: { value: fixed(value) }, title: `after ${position} tokens of context` },
          h("span", { class: "lab-example-value" }, fixed(value, 2)),
          h("span", { class: "lab-before" }, tokens.slice(0, at).join("")),
          h("b", { class: "lab-hit", style: worn("warm", Math.max(0, value) / largest) }, tokens[at]),
          h("span", {}, tokens.slice(at + 1).join("")))
      ));
    found.root.dataset.unit = `${view.layer}.${view.unit}`;
  }
}
