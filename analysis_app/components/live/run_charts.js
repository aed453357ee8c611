// The curves of a run: its loss with all that happened, and four small ones that share crosshair and zoom with it.

import { chartGroup, lineChart } from "../lib/chart.js";
import { choice, fixed, h, tick } from "../lib/dom.js";
import { brief } from "../lib/scale.js";
import { validationOf } from "../lib/validation.js";
import { markersOf, seamsOf } from "./describe.js";

const KEPT = "lab-live-view"; // how the charts are looked at, remembered in this browser
/** @type {[metric: string, label: string, style: Lab.Curve["style"]][]} */
const SMALL = [["train/lr", "Learning rate", "line"], ["train/grad_norm", "Gradient norm", "smooth"], [
  "perf/tokens_per_second",
  "Tokens/s",
  "smooth",
], ["stats/update_ratio", "Update / weight", "line"]];
/** @type {[axis: Lab.Axis, text: string][]} */
const AXES = [["step", "step"], ["tokens", "tokens"], ["time", "time"]];

/** What baselines are called, where not as in data.json. @type {Record<string, string>} */
const BASELINES = { xz: "xz alone", xz_trained: "xz trained" };

/** @typedef {Pick<Lab.ChartOptions, "x" | "logX" | "logY" | "smoothing">} View */

export class RunCharts {
  /** @type {View} */
  view = { x: "step", logX: false, logY: false, smoothing: 0.9, ...remembered() };
  #data;
  #group = chartGroup();
  #place = h("div");
  small = h("div", { class: "lab-live-small" });

  /**
   * @param {import("./run_data.js").RunData} data
   * @param {(marker: Lab.Marker) => void} onMarker
   * @param {() => void} changed the view is another
   */
  constructor(data, onMarker, changed) {
    this.#data = data;
    this.changed = changed;
    this.loss = h("section", { class: "lab-card" }, this.#options(), this.#place);
    this.lossChart = lineChart(this.#place, { label: "Loss", unit: "nats per token", group: this.#group, height: 300,
      ...this.view, onMarker, empty: "the first loss comes with the first step" });
    const { logY: _, ...view } = this.view;
    this.smallCharts = SMALL.map(([, label]) => {
      const place = this.small.appendChild(h("section", { class: "lab-card" }));
      return lineChart(place, { label, group: this.#group, height: 120, ...view });
    });
    this.draw({});
  }

  #options() {
    const { x, logX, logY, smoothing } = this.view;
    const smooth = h("input", { type: "range", min: 0, max: 1, step: 0.01, value: toSlider(smoothing),
      "aria-label": "smoothing of the training loss", oninput: () => {
        this.#see({ smoothing: fromSlider(smooth.valueAsNumber) });
      } });
    return h("div", { class: "lab-live-options" },
      choice("x", AXES, x, (axis) => this.#see({ x: /** @type {Lab.Axis} */ (axis) })),
      tick("log x", logX, (on) => this.#see({ logX: on })), tick("log y", logY, (on) => this.#see({ logY: on })),
      h("label", { class: "lab-choice lab-smooth" }, h("span", {}, "smooth"), smooth));
  }

  /** @param {Partial<View>} patch */
  #see(patch) {
    Object.assign(this.view, patch);
    window.localStorage.setItem(KEPT, JSON.stringify(this.view));
    this.lossChart.set(patch);
    const { logY: _, ...rest } = patch;
    this.smallCharts.forEach((chart) => chart.set(rest));
    this.changed();
  }

  /** Milliseconds that it took to draw all of them. */
  get cost() {
    return [this.lossChart, ...this.smallCharts].reduce((sum, { root }) => sum + Number(root.dataset.drawMs ?? 0), 0);
  }

  /** Another run: all of it is in view again. */
  forget() {
    this.#group.zoom = null;
    this.draw({});
  }

  /** @param {Lab.Facts} facts */
  draw({ baselines, clip, seams = [] }) {
    const data = this.#data, forecast = data.get("forecast/final_val_loss");
    /** @type {Lab.Curve[]} */
    const series = [
      { name: "train", data: data.get("train/loss"), colour: "--lab-train", style: "smooth", format: fixed },
      ...validationOf((name) => data.get(name)),
    ];
    if (forecast.n)
      series.push({ name: "forecast of the end", data: forecast, colour: "--lab-muted", style: "line" });
    const lines = Object.entries(baselines?.nats_per_token ?? {}).flatMap(([label, value]) =>
      typeof value === "number" ? [{ value, label: `${BASELINES[label] ?? label} ${fixed(value, 2)}` }] : []
    );
    /** @param {number} step */
    const place = (step) => data.place(step);
    const markers = [...seamsOf(seams, place), ...markersOf(data.standing(data.events), place)];
    this.lossChart.set({ series, lines, markers });
    const limit = clip ? [{ value: clip, label: `clip ${brief(clip)}`, colour: "--lab-amber" }] : [];
    SMALL.forEach(([metric, , style], i) =>
      this.smallCharts[i].set({ lines: metric === "train/grad_norm" ? limit : [],
        series: [{ name: "", data: data.get(metric), colour: "--lab-accent", style }] })
    );
  }

  /** A finding: the stretch it is about, with as much before it. @param {Lab.RunEvent} event */
  look({ step: at, since }) {
    const step = at ?? 0, last = this.#data.latest("train/loss")?.step ?? step;
    const [from, to] = [Math.min(since ?? step, last), Math.min(step, last)], wide = Math.max(10, 2 * (to - from));
    const { x } = this.view;
    const start = this.#data.place(Math.max(0, from - wide)), end = this.#data.place(Math.min(last, to + wide));
    if (start && end && end[x] > start[x]) this.lossChart.zoom([start[x], end[x]]);
    this.#place.scrollIntoView({ block: "nearest" });
  }
}

/** The slider is finest where it matters: 0.5 is a weight of 0.9, 0.75 one of 0.97. @param {number} weight */
const toSlider = (weight) => (weight === 0 ? 0 : Math.min(1, -Math.log10(1 - weight) / 2));
/** @param {number} at */
const fromSlider = (at) => (at === 0 ? 0 : Math.min(0.99, 1 - 10 ** (-2 * at)));

/** @returns {Partial<View>} */
function remembered() {
  try {
    return JSON.parse(window.localStorage.getItem(KEPT) ?? "{}");
  } catch {
    return {};
  }
}
