// Where in the validation text that unit fires most. The text is read once for all units of these weights.

import { colour, ink } from "./lib/colour.js";
import { count, fixed, h, percent, replace } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { option, setOption } from "./lib/store.js";
import { unitOf } from "./neuron.js";

export function mount(element) {
  let view = null;
  const list = h("ol", { class: "lab-examples" }), note = h("p", { class: "lab-note" });
  const found = panel(element, {
    request({ run, step, layer }) {
      if (option("examples", "no") !== "yes") {
        return {
          empty:
            "The tokens of the run’s validation slice at which this unit is most active, with what stands around them.",
          action: ["Scan the validation slice", () => setOption("examples", "yes", "no")],
        };
      }
      return [["neuron_examples", { run, step, layer, unit: unitOf() }, "long"]];
    },
    show(answer) {
      view = answer;
      draw();
    },
    draw,
  });
  replace(found.body, note, list);

  function draw() {
    const { examples } = view, largest = Math.max(1e-6, examples[0]?.value ?? 0);
    note.textContent = `Unit ${view.unit} of layer ${view.layer} is on at ${percent(view.on_rate)} of ${
      count(view.n_tokens)
    } tokens. Its ${examples.length} strongest:`;
    replace(list, ...examples.map((example) => {
      const shade = ["warm", Math.max(0, example.value) / largest];
      const node = h("b", { class: "lab-hit", style: { background: colour(...shade), color: ink(...shade) } },
        example.tokens[example.at]);
      return h("li", { data: { value: fixed(example.value) }, title: `after ${example.position} tokens of context` },
        h("span", { class: "lab-example-value" }, fixed(example.value, 2)),
        h("span", { class: "lab-before" }, example.tokens.slice(0, example.at).join("")), node,
        h("span", {}, example.tokens.slice(example.at + 1).join("")));
    }));
    found.root.dataset.unit = `${view.layer}.${view.unit}`;
  }
}
