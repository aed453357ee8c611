// Does context help? The loss at each position of the context, over the validation text, and that of this text.

import { lineChart } from "./lib/chart.js";
import { count, fixed, h, replace } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { Series } from "./lib/series.js";
import { asked, option, select, setOption, state } from "./lib/store.js";

/** @param {Element} element */
export function mount(element) {
  /** @type {Lab.Chart | null} */
  let chart = null;
  const place = h("div"), note = h("p", { class: "lab-note" });
  const found = panel(element, {
    request({ run, step }) {
      if (option("positions", "no") !== "yes") {
        return { empty: "How the loss falls as more text has been read, over the run’s validation slice.",
          action: ["Read the validation slice", () => setOption("positions", "yes", "no")] };
      }
      return [["position_loss", { run, step, packed: true }, "long"], ["predictions", asked()]];
    },
    show,
    update: (changed) => {
      if (changed.has("token")) chart?.set({ cursor: state.selection.token });
    },
  });
  replace(found.body, place, note);

  /** @param {Lab.PositionLoss} view @param {Lab.PredictionView} own */
  function show(view, own) {
    const { data } = view.loss, last = own.source.tokens.length - 1;
    const series = [curve("validation text, mean", data, "--lab-accent"),
      curve("this text", own.loss.data, "--lab-mark")];
    chart ??= lineChart(place, { label: "Loss", unit: "nats per token, by tokens read before", x: "tokens",
      height: 200 });
    chart.set({ series, cursor: state.selection.token,
      pick: (position) => select({ token: Math.min(Math.round(position), last) }) });
    note.textContent = words(view);
    found.root.dataset.first = fixed(data[0]);
    found.root.dataset.last = fixed(data[data.length - 1]);
  }
}

/** @param {string} name @param {Float32Array} losses @param {string} colour @returns {Lab.Curve} */
const curve = (name, losses, colour) => ({ name, data: Series.from(losses.map((_, i) => i + 1), losses), colour,
  style: "line" });

/** @param {Lab.PositionLoss} view */
function words({ error, pieces, in_context: gain }) {
  const errors = [...error.data].filter(Number.isFinite).sort((a, b) => a - b);
  const spread = errors.length ? `, each with a standard error of about ${fixed(errors[errors.length >> 1])}` : "";
  const helps = gain === null
    ? ""
    : ` The last quarter of positions less the first: ${fixed(gain)} nats, ${
      gain < 0 ? "so context helps" : "so context does not help"
    }.`;
  return `Means over ${count(pieces)} pieces of validation text, each read from its start${spread}.${helps}`;
}
