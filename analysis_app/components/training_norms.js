// How large each layer's gradient, update and weights were over training, as the run wrote them down.

import { colour, css } from "./lib/colour.js";
import { choice, count, h, replace } from "./lib/dom.js";
import { actionsOf, panel } from "./lib/panel.js";
import { plot } from "./lib/plot.js";
import { option, select, setOption, state } from "./lib/store.js";

const NAMES = { "stats/grad_norm": "gradient", "stats/update_ratio": "update ÷ weights", "stats/weight_norm": "weights" };

export function mount(element) {
  let view = null;
  const chart = plot("norms of each layer over training. Arrow keys read, Enter looks at the nearest snapshot.", jump), note = h("p", { class: "lab-note" });
  const found = panel(element, {
    anyModel: true,
    // The log of a run that trains grows: it is asked for anew with every snapshot.
    request: ({ run, step }) => [["norms", { run, step: live() ? step : null, packed: true }]],
    show(answer) {
      view = answer;
      draw();
    },
    update: (changed) => (changed.has("step") || changed.has("norms") ? draw() : null),
    draw,
  });
  replace(found.body, chart.node, note);

  function draw() {
    const names = view.measures.map((m) => m.name), shown = option("norms", names[0], (name) => names.includes(name));
    replace(actionsOf(element), choice("Show", names.map((n) => [n, NAMES[n] ?? n]), shown, (name) => setOption("norms", name, names[0])));
    const measure = view.measures.find((m) => m.name === shown), n = view.steps.length, depth = Math.max(1, view.places.length - 2);
    chart.draw({
      x: view.steps, xName: "optimizer steps, logarithmic", logX: true, logY: true, cursor: state.selection.step ?? NaN,
      title: (i) => `step ${count(view.steps[i])}`,
      lines: view.places.map((place, i) => ({
        name: place.replace("layer", "layer "), values: measure.values.data.subarray(i * n, (i + 1) * n),
        colour: place.startsWith("layer") ? colour("seq", 0.35 + (0.6 * i) / depth) : css("--lab-mark"),
      })),
    });
    note.textContent = `${measure.formula}. ${measure.how_to_read}`;
    found.root.dataset.measure = shown;
  }
}

const live = () => ["running", "starting", "paused"].includes(state.info?.runs.find((r) => r.name === state.selection.run)?.state);

function jump(step) {
  const { steps } = state.info;
  if (steps.length) select({ step: steps.reduce((best, s) => (Math.abs(s - step) < Math.abs(best - step) ? s : best)) });
}
