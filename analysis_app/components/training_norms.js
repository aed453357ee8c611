// How large each layer's gradient, update and weights were over training, as the run wrote them down.

import { lineChart } from "./lib/chart.js";
import { colour, onTheme } from "./lib/colour.js";
import { choice, h, replace } from "./lib/dom.js";
import { actionsOf, panel } from "./lib/panel.js";
import { Series } from "./lib/series.js";
import { option, published, select, setOption, state } from "./lib/store.js";

const NAMES = { "stats/grad_norm": "gradient", "stats/update_ratio": "update ÷ weights",
  "stats/weight_norm": "weights" };

export function mount(element) {
  let view = null, chart = null;
  const place = h("div"), note = h("p", { class: "lab-note" });
  const found = panel(element, {
    anyModel: true,
    // The log of a run that trains grows: it is asked for anew with every snapshot.
    request: ({ run, step }) =>
      published()
        ? "A published model: nobody wrote down its gradients while it was trained."
        : [["norms", { run, step: live() ? step : null, packed: true }]],
    show(answer) {
      view = answer;
      build();
    },
    update(changed) {
      if (changed.has("norms")) build();
      else if (changed.has("step")) chart.set({ cursor: state.selection.step });
    },
  });
  replace(found.body, place, note);
  onTheme(() => view && colours());

  // The deeper, the darker; what reads and scores tokens stands apart.
  function colours() {
    const depth = Math.max(1, view.places.filter((name) => name.startsWith("layer")).length - 1);
    view.places.forEach((name, i) =>
      document.body.style.setProperty(`--lab-layer-${i}`,
        name.startsWith("layer") ? colour("seq", 0.4 + (0.55 * i) / depth) : "var(--lab-mark)")
    );
  }

  function build() {
    const names = view.measures.map((m) => m.name), shown = option("norms", names[0], (name) => names.includes(name));
    replace(actionsOf(element),
      choice("Show", names.map((n) => [n, NAMES[n] ?? n]), shown, (name) => setOption("norms", name, names[0])));
    const measure = view.measures.find((m) => m.name === shown), n = view.steps.length;
    colours();
    const series = view.places.map((name, i) => ({ name: name.replace("layer", "layer "), colour: `--lab-layer-${i}`,
      style: "line", data: Series.from(...there(measure.values.data.subarray(i * n, (i + 1) * n))) })
    );
    const options = { label: NAMES[shown] ?? shown, unit: measure.unit, series, cursor: state.selection.step };
    if (chart) chart.set(options);
    else chart = lineChart(place, { ...options, logX: true, logY: true, pick: jump });
    note.textContent = `${measure.formula}. ${measure.how_to_read}`;
    found.root.dataset.measure = shown;
  }

  // Steps and values where it was measured: a look without one is no gap.
  function there(values) {
    const measured = view.steps.map((_, i) => i).filter((i) => Number.isFinite(values[i]));
    return [measured.map((i) => view.steps[i]), measured.map((i) => values[i])];
  }
}

const live = () =>
  ["running", "starting", "paused"].includes(state.info?.runs.find((r) => r.name === state.selection.run)?.state);

function jump(step) {
  const { steps } = state.info;
  if (steps.length)
    select({ step: steps.reduce((best, s) => (Math.abs(s - step) < Math.abs(best - step) ? s : best)) });
}
