// Mouse and keyboard on a line chart: crosshair, zoom by dragging, clicks on places and on markers.

import { hideTip, showTip } from "../dom.js";
import { longestOf } from "./table.js";

const NEAR = 7; // pixels within which the mouse means a marker, or has not dragged

export class Pointer {
  /** @type {Lab.Drag | null} */
  drag = null;
  #chart;
  #canvas;

  /** @param {Lab.Chart} chart @param {HTMLCanvasElement} canvas */
  constructor(chart, canvas) {
    this.#chart = chart;
    this.#canvas = canvas;
    canvas.addEventListener("pointerdown", this.#press);
    canvas.addEventListener("pointermove", this.#move);
    canvas.addEventListener("pointerup", this.#release);
    canvas.addEventListener("pointerleave", this.#leave);
    canvas.addEventListener("dblclick", () => chart.reset());
    canvas.addEventListener("keydown", this.#key);
  }

  /** @param {MouseEvent} event @returns {[x: number, y: number]} */
  #spot({ clientX, clientY }) {
    const { left, top } = this.#canvas.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  /** @param {PointerEvent} event */
  #press = (event) => {
    if (!this.#chart.axes() || event.button !== 0) return;
    const from = this.#spot(event);
    this.drag = { from, to: from, moved: false, tall: false };
    this.#canvas.setPointerCapture(event.pointerId);
  };

  /** @param {PointerEvent} event */
  #move = (event) => {
    const axes = this.#chart.axes(), { drag } = this;
    if (!axes) return;
    const [x, y] = this.#spot(event), inside = Math.min(Math.max(x, axes.left), axes.right);
    if (drag) {
      drag.to = [inside, Math.min(Math.max(y, axes.top), axes.bottom)];
      drag.moved ||= Math.abs(x - drag.from[0]) > NEAR;
      drag.tall = Math.abs(drag.to[1] - drag.from[1]) > 3 * NEAR;
    }
    const marker = drag?.moved ? null : this.#marker(axes, x, y);
    this.#canvas.style.cursor = marker && this.#chart.options.onMarker ? "pointer" : "crosshair";
    if (marker) showTip(event, marker.title ?? "", marker.rows);
    else hideTip();
    this.#chart.point(axes.across.invert(inside));
  };

  /** @param {PointerEvent} event */
  #release = (event) => {
    const axes = this.#chart.axes(), { drag } = this, { pick, onMarker } = this.#chart.options;
    this.drag = null;
    if (!drag || !axes) return;
    const { across, up } = axes, { from, to } = drag;
    if (drag.moved) {
      const [x0, x1] = [from[0], to[0]].sort((a, b) => a - b).map(across.invert);
      const [y1, y0] = [from[1], to[1]].sort((a, b) => a - b).map(up.invert);
      return this.#chart.zoom([Math.max(x0, across.low), Math.min(x1, across.high)], drag.tall ? [y0, y1] : null);
    }
    const marker = this.#marker(axes, ...this.#spot(event));
    if (marker && onMarker) onMarker(marker);
    else if (pick) pick(across.invert(from[0]));
  };

  #leave = () => {
    hideTip();
    if (!this.drag) this.#chart.point(null);
  };

  /** Under the mouse. @param {Lab.Axes} axes @param {number} x @param {number} y @returns {Lab.Marker | null} */
  #marker({ across, bottom, x: axis }, x, y) {
    if (y < bottom - 16 || y > bottom + 3) return null;
    /** @param {Lab.Marker} marker */
    const away = (marker) => Math.abs(across(marker[axis]) - x);
    const { markers } = this.#chart.options, near = markers.filter((marker) => away(marker) < NEAR);
    if (!near.length) return null;
    const found = near.reduce((best, marker) => (away(marker) < away(best) ? marker : best));
    const crowd = markers.filter((marker) => Math.abs(away(marker) - away(found)) < 1).length - 1;
    return crowd > 0 ? { ...found, rows: [...(found.rows ?? []), ["and beside it", `${crowd} more`]] } : found;
  }

  /** @param {KeyboardEvent} event */
  #key = (event) => {
    const chart = this.#chart, axes = chart.axes();
    if (!axes) return;
    const { pick } = chart.options, { across, left, right } = axes, { at } = chart, middle = at ?? across.high;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") this.#step(event, middle);
    else if (event.key === "Enter" && pick && at !== null) pick(at);
    else if (event.key === "0") chart.reset();
    else if (event.key === "+") {
      const pixel = across(middle), wide = (right - left) / 4;
      chart.zoom([across.invert(Math.max(left, pixel - wide)), across.invert(Math.min(right, pixel + wide))]);
    } else return;
    event.preventDefault();
  };

  /** Along the longest curve by a point, with Shift by ten. @param {KeyboardEvent} event @param {number} middle */
  #step({ key, shiftKey }, middle) {
    const { at, options: { series, x } } = this.#chart, { data } = longestOf(series), xs = data.x(x);
    const by = at === null ? 0 : (key === "ArrowLeft" ? -1 : 1) * (shiftKey ? 10 : 1);
    this.#chart.point(xs[Math.min(xs.length - 1, Math.max(0, data.nearest(x, middle) + by))]);
  }
}
