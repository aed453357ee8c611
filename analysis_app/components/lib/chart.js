// A line chart on a canvas, for curves that grow.
//
//   const chart = lineChart(place, { label: "Loss", unit: "nats per token", series: [
//     { name: "train", data: new Series(), colour: "--lab-train", style: "smooth" },
//     { name: "val", data: new Series(), colour: "--lab-val", style: "dots" } ] });
//   data.push(step, tokens, time, value); chart.redraw();     // appended: nothing is fetched or built again
//   chart.set({ logY: true });
//
// Options, all of which `set` changes:
//   series     [{ name, data, colour, style, unit, format, band }]; style "smooth" (raw faint, moving average strong),
//              "line" or "dots"; band: standard errors, drawn twice as wide up and down
//   lines      [{ value, label, colour }]: dashed reference lines
//   markers    [{ step, tokens, time, kind, title, rows }]; kind: checkpoint, sample, pause, finding, cross; seam: a
//              thin line from top to bottom; any other is a dot
//   x          "step", "tokens" or "time" (training seconds), called `xName` to the reader; logX, logY; smoothing
//              0 … 0.999; height in pixels
//   cursor     a place on x that stays marked, whose values stand in the legend; pick(x): a click; onMarker(marker): a
//              click on one
//   range      [low, high] of x, where charts stand above each other; else that of the data
//   group      charts that share crosshair and zoom along x: `chartGroup()`
// Drag to zoom (downwards too: a box), double-click to see everything again; the zoom outlives new points. By
// keyboard: arrows move the crosshair, Enter picks, + zooms, 0 shows everything again.

import { prepare } from "./canvas.js";
import { drawGrid, font, measure } from "./chart/axes.js";
import { drawBox, drawCrosshair, legendOf } from "./chart/crosshair.js";
import { drawCurves } from "./chart/curves.js";
import { Pointer } from "./chart/pointer.js";
import { description, tableOf, tableToggle } from "./chart/table.js";
import { css, onTheme } from "./colour.js";
import { h, replace } from "./dom.js";
import { menuOf, numbersOf } from "./export.js";

/** @type {Lab.ChartOptions} */
const DEFAULTS = { label: "", unit: "", series: [], lines: [], markers: [], x: "step", xName: null, logX: false,
  logY: false, smoothing: 0.9, height: 220, group: null, cursor: null, range: null, pick: null, onMarker: null,
  empty: "nothing measured yet" };

/** @returns {Lab.ChartGroup} */
export const chartGroup = () => ({ charts: new Set(), at: null, zoom: null });

/** @param {HTMLElement} place @param {Partial<Lab.ChartOptions>} options */
export const lineChart = (place, options) => new LineChart(place, options);

export class LineChart {
  /** @type {Lab.Range | null} */
  zoomY = null;
  /** @type {Lab.Axes | null} */
  #axes = null;
  #waiting = false; // for the next frame, to draw
  #base = h("canvas", { class: "lab-chart-base", role: "img", tabindex: 0 });
  #over = h("canvas", { class: "lab-chart-over", "aria-hidden": "true" });
  #legend = h("div", { class: "lab-chart-legend" });
  #area = h("div", { class: "lab-chart-area" }, this.#base, this.#over);
  #table = h("div", { class: "lab-scroll lab-chart-table", hidden: true, tabindex: 0 });
  #name = h("b", { class: "lab-chart-name" });
  #toggle = tableToggle(this.#area, this.#table, "chart", () => this.draw());

  /** @param {HTMLElement} place @param {Partial<Lab.ChartOptions>} options */
  constructor(place, options) {
    this.options = { ...DEFAULTS, ...options };
    this.group = this.options.group ?? chartGroup();
    this.group.charts.add(this);
    const caption = h("figcaption", {}, this.#name, this.#legend, this.#toggle);
    this.root = h("figure", { class: "lab-chart" }, caption, this.#area, this.#table);
    caption.append(menuOf(this.root, () => this.options.label));
    numbersOf(this.root, () => this.#numbers());
    replace(place, this.root);
    this.pointer = new Pointer(this, this.#base);
    onTheme(() => this.root.isConnected && this.redraw());
    new ResizeObserver(() => this.redraw()).observe(this.#area);
    this.redraw();
  }

  /** @param {Partial<Lab.ChartOptions>} patch */
  set(patch) {
    const { options } = this;
    if ("x" in patch && patch.x !== options.x) [this.group.zoom, this.group.at] = [null, null];
    if ("logY" in patch && patch.logY !== options.logY) this.zoomY = null;
    if (patch.group && patch.group !== this.group) {
      this.group.charts.delete(this);
      this.group = patch.group;
      this.group.charts.add(this);
    }
    Object.assign(options, patch);
    this.redraw();
  }

  redraw() {
    if (this.#waiting) return;
    this.#waiting = true;
    window.requestAnimationFrame(() => {
      this.#waiting = false;
      this.draw();
    });
  }

  /** Where everything stands; null while nothing is drawn. */
  axes() {
    return this.#axes;
  }

  /** Where the crosshair is. */
  get at() {
    return this.group.at;
  }

  // ---------------------------------------------------------------- drawing

  draw() {
    const { root, options, group } = this, width = root.clientWidth;
    if (!root.isConnected || width < 40) return;
    const start = performance.now(), axes = measure(options, width, group.zoom, this.zoomY);
    const context = prepare(this.#base, width, options.height);
    this.#axes = axes;
    this.#name.textContent = options.label;
    if (axes) {
      drawGrid(context, axes, options.height);
      drawCurves(context, axes, options);
    } else {
      context.fillStyle = css("--lab-muted");
      context.font = font();
      context.textAlign = "center";
      context.fillText(options.empty, width / 2, options.height / 2);
    }
    root.dataset.points = String(options.series.reduce((sum, { data }) => sum + data.n, 0));
    root.dataset.drawMs = (performance.now() - start).toFixed(1);
    this.#base.setAttribute("aria-label", description(options));
    this.crosshair();
    if (!this.#table.hidden) replace(this.#table, ...tableOf(options, axes));
  }

  /** What follows the mouse, and the values there: those at the crosshair, else at the cursor, else the newest. */
  crosshair() {
    const { options, group, pointer: { drag } } = this, axes = this.#axes, width = this.root.clientWidth;
    const context = prepare(this.#over, width, options.height);
    if (axes) drawCrosshair(context, axes, options, group.at, width);
    if (axes && drag?.moved) drawBox(context, axes, drag);
    const whole = h("button", { class: "lab-link lab-chart-reset", onclick: () => this.reset() }, "show all");
    replace(this.#legend, ...legendOf(options, group.at ?? options.cursor), group.zoom || this.zoomY ? whole : null);
  }

  #numbers() {
    const { label, unit, series } = this.options;
    return { chart: label, unit,
      series: series.map((curve) => ({ name: curve.name, unit: curve.unit, step: curve.data.x("step"),
        tokens: curve.data.x("tokens"), time: curve.data.x("time"), values: curve.data.y })
      ) };
  }

  // ---------------------------------------------------------------- the group

  /** @param {(chart: Lab.ChartPart) => void} act */
  #shared(act) {
    const { charts } = this.group;
    charts.forEach((chart) => (chart.root.isConnected ? act(chart) : charts.delete(chart)));
  }

  /** Move the crosshair. @param {number | null} x */
  point(x) {
    this.group.at = x;
    this.#shared((chart) => chart.crosshair());
  }

  /** @param {Lab.Range | null} x @param {Lab.Range | null} [y] */
  zoom(x, y = null) {
    [this.group.zoom, this.zoomY] = [x, y];
    this.#shared((chart) => chart.redraw());
  }

  reset() {
    this.zoom(null);
  }
}
