// Does context help? The loss at each position of the context, over the validation text, and that of this text.

import { lineChart } from "./lib/chart.js";
import { count, fixed, h, replace } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { Series } from "./lib/series.js";
import { asked, option, select, setOption, state } from "./lib/store.js";

export function mount(element) {
  let view = null, own = null, chart = null;
  const place = h("div"), note = h("p", { class: "lab-note" });
  const found = panel(element, {
    request({ run, step }) {
      if (option("positions", "no") !== "yes") {
        return { empty: "How the loss falls as more text has been read, over the run’s validation slice.",
          action: ["Read the validation slice", () => setOption("positions", "yes", "no")] };
      }
      return [["position_loss", { run, step, packed: true }, "long"], ["predictions", asked()]];
    },
    show(answer, mine) {
      [view, own] = [answer, mine];
      draw();
    },
    update: (changed) => (changed.has("token") ? chart.set({ cursor: state.selection.token }) : null),
  });
  replace(found.body, place, note);

  function draw() {
    const { data } = view.loss, n = data.length, read = (length) => Array.from({ length }, (_, i) => i + 1);
    const series = [
      { name: "validation text, mean", data: Series.from(read(n), data), colour: "--lab-accent", style: "line" },
      { name: "this text", data: Series.from(read(own.loss.data.length), own.loss.data), colour: "--lab-mark",
        style: "line" },
    ];
    const options = { label: "Loss", unit: "nats per token, by tokens read before", series,
      cursor: state.selection.token };
    if (chart) chart.set(options);
    else chart = lineChart(place, { ...options, x: "tokens", height: 200,
        pick: (position) => select({ token: Math.min(Math.round(position), own.source.tokens.length - 1) }) });
    const errors = [...view.error.data].filter(Number.isFinite).sort((a, b) => a - b),
      spread = errors.length ? `, each with a standard error of about ${fixed(errors[errors.length >> 1])}` : "";
    const helps = view.in_context === null
      ? ""
      : ` The last quarter of positions less the first: ${fixed(view.in_context)} nats, ${
        view.in_context < 0 ? "so context helps" : "so context does not help"
      }.`;
    note.textContent = `Means over ${
      count(view.pieces)
    } pieces of validation text, each read from its start${spread}.${helps}`;
    found.root.dataset.first = fixed(data[0]);
    found.root.dataset.last = fixed(data[n - 1]);
  }
}
