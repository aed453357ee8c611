// How large each layer's gradient, update and weights were over training, as the run logged them.

import { lineChart } from "./lib/chart.js";
import { colour, onTheme } from "./lib/colour.js";
import { choice, h, replace } from "./lib/dom.js";
import { actionsOf, panel } from "./lib/panel.js";
import { Series } from "./lib/series.js";
import { option, published, select, setOption, state } from "./lib/store.js";

/** @type {Record<string, string>} */
const NAMES = { "stats/grad_norm": "gradient", "stats/update_ratio": "update ÷ weights",
  "stats/weight_norm": "weights" };

/** @param {Element} element */
export function mount(element) {
  /** @type {Lab.NormsView | null} */
  let view = null;
  /** @type {Lab.Chart | null} */
  let chart = null;
  const place = h("div"), note = h("p", { class: "lab-note" });
  const found = panel(element, {
    anyModel: true,
    request: ({ run }) =>
      published()
        ? "A published model comes without a training log, so there are no gradient norms."
        : [["norms", { run, packed: true }]],
    show,
    update(changed) {
      if (changed.has("norms") && view) show(view);
      else if (changed.has("step")) chart?.set({ cursor: state.selection.step });
    },
  });
  replace(found.body, place, note);
  onTheme(() => view && colours(view.places));

  /** @param {Lab.NormsView} answer */
  function show(answer) {
    view = answer;
    const { measures, places, steps } = answer, names = measures.map((m) => m.name);
    const shown = option("norms", names[0], (name) => names.includes(name)), label = NAMES[shown] ?? shown;
    const { values, unit, formula, how_to_read: reading } = measures[names.indexOf(shown)], n = steps.length;
    replace(actionsOf(element),
      choice("Show", names.map((name) => [name, NAMES[name] ?? name]), shown,
        (name) => setOption("norms", name, names[0])));
    colours(places);
    chart ??= lineChart(place, { logX: true, logY: true, pick: jump });
    chart.set({ label, unit, cursor: state.selection.step, series: places.map((name, i) => ({
      name: name.replace("layer", "layer "),
      colour: `--lab-layer-${i}`,
      style: "line",
      data: measured(steps, values.data.subarray(i * n, (i + 1) * n)),
    })) });
    note.textContent = `${formula}. ${reading}`;
    found.root.dataset.measure = shown;
  }
}

/** The deeper, the darker; what reads and scores tokens stands apart. @param {string[]} places */
function colours(places) {
  const depth = Math.max(1, places.filter((name) => name.startsWith("layer")).length - 1);
  places.forEach((name, i) =>
    document.body.style.setProperty(`--lab-layer-${i}`,
      name.startsWith("layer") ? colour("seq", 0.4 + (0.55 * i) / depth) : "var(--lab-mark)")
  );
}

/** A curve of the steps at which it was measured. @param {number[]} steps @param {Float32Array} values */
function measured(steps, values) {
  const there = [...steps.keys()].filter((i) => Number.isFinite(values[i]));
  return Series.from(there.map((i) => steps[i]), there.map((i) => values[i]));
}

/** Selects the snapshot nearest to a step. @param {number} step */
function jump(step) {
  const steps = state.info?.steps ?? [];
  if (steps.length)
    select({ step: steps.reduce((best, s) => (Math.abs(s - step) < Math.abs(best - step) ? s : best)) });
}
