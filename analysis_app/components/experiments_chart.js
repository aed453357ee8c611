// One metric of the chosen runs over steps, tokens, training time or FLOPs. A click on a curve, such as on a spike,
// shows the batch that the step learned from.

import { analysis } from "./lib/answers.js";
import { lineChart } from "./lib/chart.js";
import { chosenBatch, colourOf, METRIC, request, showBatch, swatchOf } from "./lib/chosen_runs.js";
import { choice, fixed, h, replace, short, tick } from "./lib/dom.js";
import { flow } from "./lib/flow.js";
import { actionsOf, panel } from "./lib/panel.js";
import { Series, seriesOf } from "./lib/series.js";
import { option, setOption, state } from "./lib/store.js";

const AXES = { step: "steps", tokens: "tokens", time: "training time", flops: "FLOPs" };
const SMOOTH = "0.6";
const GROWN_MS = 400; // between two pictures of curves that grow
const SHARP = 5; // pixels within which a click means the point nearest to it, which may be a spike of one step

const axis = () => /** @type {keyof typeof AXES} */ (option("axis", "step", (name) => name in AXES));
const logs = () => option("logs", "", (text) => ["x", "y", "xy"].includes(text));
const smoothing = () => option("smooth", SMOOTH, (text) => Number(text) >= 0 && Number(text) < 1);

/** @param {Element} element */
export const mount = (element) => new OverlayChart(element);

class OverlayChart {
  /** @type {Lab.OverlayView | null} */
  #overlay = null;
  /** @type {Lab.Chart | null} */
  #chart = null;
  #offered = ""; // the metrics that can be chosen
  #mouse = 0;
  #waiting = false; // for the next picture
  /** @type {Map<string, Curve>} by run */
  #curves = new Map();
  #place = h("div");
  #notes = h("p", { class: "lab-note" });
  #losses = h("div", { class: "lab-chips" });

  /** @param {Element} element */
  constructor(element) {
    this.panel = panel(element, {
      anyModel: true,
      request,
      ask: (kind, body) => {
        this.#curves.forEach((curve) => curve.end());
        this.#curves = new Map(
          body.runs.map((/** @type {string} */ run) => [run, new Curve(run, () => this.#grown())]),
        );
        return analysis(kind, body);
      },
      show: (/** @type {Lab.OverlayView} */ overlay) => {
        this.#overlay = overlay;
        overlay.runs.forEach((line) => this.#curves.get(line.name)?.begin(line, overlay.metric));
        this.#offer(actionsOf(element), overlay);
        this.#draw(overlay);
      },
      update: (changed) => {
        if (this.#overlay && ["axis", "logs", "smooth", "batch", "run"].some((name) => changed.has(name)))
          this.#draw(this.#overlay);
      },
    });
    for (const name of /** @type {const} */ (["pointermove", "pointerdown"])) {
      this.#place.addEventListener(name, ({ offsetY }) => {
        this.#mouse = offsetY;
      });
    }
    replace(this.panel.body, this.#losses, this.#place, this.#notes);
  }

  /** Rows come faster than a screen shows pictures. */
  #grown() {
    if (this.#waiting) return;
    this.#waiting = true;
    window.setTimeout(() => {
      this.#waiting = false;
      if (this.#overlay && this.panel.root.offsetParent) this.#draw(this.#overlay);
    }, GROWN_MS);
  }

  /** @param {HTMLElement} place @param {Lab.OverlayView} overlay */
  #offer(place, { metrics, metric }) {
    if (this.#offered === (this.#offered = metrics.join())) return;
    /** @param {"x" | "y"} letter */
    const log = (letter) =>
      tick(`log ${letter}`, logs().includes(letter), (on) =>
        setOption("logs", ["x", "y"].filter((one) => (one === letter ? on : logs().includes(one))).join(""), ""),
        `lab-log-${letter}`);
    const smooth = h("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: smoothing(),
      "aria-label": "smoothing", oninput: () => {
        setOption("smooth", smooth.value, SMOOTH);
      } });
    replace(place,
      choice("Curve", metrics.map((name) => [name, name]), metric, (name) => setOption("curve", name, METRIC)),
      choice("Over", Object.entries(AXES), axis(), (name) => setOption("axis", name, "step")), log("x"), log("y"),
      h("label", { class: "lab-choice lab-smooth" }, h("span", {}, "smooth"), smooth));
  }

  /** @param {Lab.OverlayView} overlay */
  #draw(overlay) {
    const by = axis(),
      usable = overlay.runs.filter((run) => this.#seriesOf(run).n && (by !== "flops" || run.flops_per_token));
    /** @type {Lab.Curve[]} */
    const series = usable.map((run) => {
      const data = this.#seriesOf(run);
      return { name: run.name, colour: colourOf(run.name), data: by === "flops" ? inFlops(data, run) : data,
        style: data.n > 120 ? "smooth" : "line" };
    });
    const mine = series.find(({ name }) => name === state.selection.run)?.data, batch = chosenBatch();
    const x = by === "flops" ? "tokens" : by;
    const cursor = mine && Number.isFinite(batch) ? mine.x(x)[mine.nearest("step", batch)] ?? null : null;
    const options = { label: overlay.metric, unit: overlay.unit, series, height: 320, logX: logs().includes("x"),
      logY: logs().includes("y"), smoothing: Number(smoothing()), x, xName: by === "flops" ? "training FLOPs" : null,
      cursor, pick: this.#pick };
    if (this.#chart) this.#chart.set(options);
    else this.#chart = lineChart(this.#place, options);
    const missing = overlay.runs.filter((run) => !usable.includes(run) || (run.problem && by === "flops"));
    this.#notes.textContent = [overlay.how_to_read,
      ...missing.map(({ name, problem }) => `${name}: ${problem ?? "not on this axis"}`)].join(" · ");
    replace(this.#losses, ...lossesOf(overlay));
    const last = series.map(({ data }) => data.last()?.step ?? "").join();
    Object.assign(this.panel.root.dataset, { runs: usable.map((run) => run.name).join(","), axis: by, last });
  }

  /** @param {Lab.RunLine} run */
  #seriesOf = ({ name, curve }) => this.#curves.get(name)?.series ?? seriesOf(curve);

  /** The point nearest to the mouse. @param {number} at on x */
  #pick = (at) => {
    const chart = this.#chart, axes = chart?.axes();
    if (!chart || !axes) return;
    const { across, up, x } = axes, pixel = across(at);
    /** @type {{ away: number, name: string, step: number } | null} */
    let best = null;
    for (const { name, data } of chart.options.series) {
      const xs = data.x(x), nearest = data.nearest(x, at);
      const [from, to] = data.between(x, across.invert(pixel - SHARP), across.invert(pixel + SHARP));
      for (let i = from; i < to; i++) {
        if (i !== nearest && Math.abs(across(xs[i]) - pixel) > SHARP) continue;
        const away = Math.hypot(across(xs[i]) - pixel, up(data.y[i]) - this.#mouse);
        if (away < (best?.away ?? Infinity)) best = { away, name, step: data.x("step")[i] };
      }
    }
    if (best) showBatch(best.name, best.step);
  };
}

/** The metric of one run: as it was answered, and what comes in from there on. */
class Curve {
  /** @type {import("./lib/series.js").Series | null} */
  series = null;
  #metric = "";
  /** @type {((metric: string) => void)[]} what came before the answer did */
  #early = [];

  /** @param {string} run @param {() => void} grown */
  constructor(run, grown) {
    /** @param {(metric: string) => void} act */
    const take = (act) => {
      if (!this.series) return void this.#early.push(act);
      act(this.#metric);
      grown();
    };
    /** @type {Lab.MessageHandlers} */
    this.handlers = {
      metrics: ({ columns }) => take((metric) => this.#add(columns, metric)),
      rewind: ({ step }) => take(() => this.series?.rewind(step)),
    };
    this.end = flow.follow(run, null, this.handlers);
  }

  /** @param {Lab.RunLine} line @param {string} metric */
  begin({ name, curve, cursor }, metric) {
    if (this.series) return;
    [this.series, this.#metric] = [seriesOf(curve), metric];
    this.#early.splice(0).forEach((act) => act(metric));
    const before = this.end;
    this.end = flow.follow(name, cursor, this.handlers);
    before();
  }

  /** Rows beyond the end: some may be told twice. @param {Lab.Columns} columns @param {string} metric */
  #add({ step = [], tokens = [], time = [], ...columns }, metric) {
    const series = this.series, values = columns[metric] ?? [];
    if (!series) return;
    for (let i = 0, end = series.x("step")[series.n - 1] ?? -1; i < step.length; i++) {
      const value = values[i];
      if (step[i] > end && typeof value === "number") series.push(step[i], tokens[i], time[i], value);
    }
  }
}

/** The same over what each token costs. @param {import("./lib/series.js").Series} data @param {Lab.RunLine} run */
const inFlops = (data, { flops_per_token: each }) =>
  Series.from(data.x("step"), data.y, { tokens: data.x("tokens").map((n) => n * (each ?? 1)), time: data.x("time") });

/** Where all are comparable: after as many tokens each. @param {Lab.OverlayView} overlay */
function lossesOf({ common_tokens: tokens, metric, runs }) {
  if (tokens === null) return [];
  // Of runs of other lengths only the subset was read at the same point.
  const onPart = runs.length > 1 && runs.every(({ at_common: at }) => (at["val/subset_loss"] ?? null) !== null);
  const loss = metric in (runs[0]?.at_common ?? {}) ? metric : onPart ? "val/subset_loss" : "val/loss";
  return [
    h("span", { class: "lab-note" }, `${loss} after ${short(tokens)} tokens, which all have seen`),
    ...runs.map(({ name, at_common: at }) =>
      h("span", { class: "lab-chip", data: { common: name } }, swatchOf(name), `${name} `, h("b", {}, fixed(at[loss])))
    ),
  ];
}
