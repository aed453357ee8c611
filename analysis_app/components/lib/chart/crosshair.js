// What follows the mouse over a line chart: the crosshair with a dot on each curve, the box that is dragged, and the
// legend that says the values there.

import { css } from "../colour.js";
import { h } from "../dom.js";
import { brief } from "../scale.js";
import { font, stroke, textOfX } from "./axes.js";
import { dot } from "./curves.js";

/** Whether a moving average stands for it. @param {Lab.Curve} curve @param {number} smoothing */
const isSmooth = ({ style }, smoothing) => style === "smooth" && smoothing > 0;

/** What a curve shows at a point. @param {Lab.Curve} curve @param {number} i @param {number} smoothing */
const valueAt = (curve, i, smoothing) =>
  isSmooth(curve, smoothing) ? curve.data.smoothed(smoothing)[i] : curve.data.y[i];

/**
 * @param {Lab.Context} context
 * @param {Lab.Axes} axes
 * @param {Lab.ChartOptions} options
 * @param {number | null} at where the mouse is on x
 * @param {number} width of the chart
 */
export function drawCrosshair(context, axes, { series, cursor, smoothing, x }, at, width) {
  if (cursor !== null) upright(context, axes, cursor, css("--lab-mark"), 1.5);
  if (at === null) return;
  if (upright(context, axes, at, css("--lab-muted"), 1)) label(context, axes, textOfX(at, x), axes.across(at), width);
  for (const curve of series) {
    const { data, colour = "--lab-accent" } = curve, i = data.nearest(x, at);
    if (i < 0 || Number.isNaN(data.y[i])) continue;
    const px = axes.across(data.x(x)[i]), py = axes.up(valueAt(curve, i, smoothing));
    if (py < axes.top - 3 || py > axes.bottom + 3 || px < axes.left - 1 || px > axes.right + 1) continue;
    context.fillStyle = css(colour);
    context.strokeStyle = css("--lab-card");
    context.lineWidth = 1.5;
    dot(context, px, py, 4);
    context.stroke();
  }
}

/**
 * A line from top to bottom; whether it is in view.
 * @param {Lab.Context} context
 * @param {Lab.Axes} axes
 * @param {number} x
 * @param {string} colour
 * @param {number} width
 */
function upright(context, { across, left, right, top, bottom }, x, colour, width) {
  const at = across(x), pixel = Math.round(at) + 0.5;
  if (!(at >= left - 1 && at <= right + 1)) return false;
  context.strokeStyle = colour;
  context.lineWidth = width;
  stroke(context, [pixel, top], [pixel, bottom]);
  return true;
}

/**
 * The place of the crosshair, written under the axis.
 * @param {Lab.Context} context
 * @param {Lab.Axes} axes
 * @param {string} text
 * @param {number} at
 * @param {number} width
 */
function label(context, { bottom }, text, at, width) {
  context.font = font();
  const wide = context.measureText(text).width + 12, left = Math.min(Math.max(at - wide / 2, 0), width - wide);
  context.fillStyle = css("--lab-ink");
  context.beginPath();
  context.roundRect(left, bottom + 3, wide, 17, 5);
  context.fill();
  context.fillStyle = css("--lab-card");
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, left + wide / 2, bottom + 12);
}

/** What is dragged over. @param {Lab.Context} context @param {Lab.Axes} axes @param {Lab.Drag} drag */
export function drawBox(context, { top, bottom }, { from, to, tall }) {
  const [x0, x1] = [from[0], to[0]].sort((a, b) => a - b);
  const [y0, y1] = tall ? [from[1], to[1]].sort((a, b) => a - b) : [top, bottom];
  context.fillStyle = context.strokeStyle = css("--lab-accent");
  context.globalAlpha = 0.14;
  context.fillRect(x0, y0, x1 - x0, y1 - y0);
  context.globalAlpha = 0.8;
  context.strokeRect(x0 + 0.5, y0 + 0.5, x1 - x0, y1 - y0);
  context.globalAlpha = 1;
}

/**
 * Names of the curves with their values at `at`, or the newest where it is null.
 * @param {Lab.ChartOptions} options
 * @param {number | null} at
 */
export const legendOf = ({ series, unit, x, smoothing }, at) => [
  ...series.filter(({ data }) => data.n).map((curve) => {
    const { name, data, colour = "--lab-accent", format = brief } = curve;
    const i = at === null ? data.lastIndex : data.nearest(x, at);
    return h("span", { class: "lab-chart-key" },
      series.length > 1 ? h("i", { style: { background: `var(${colour})` } }) : null, name ? `${name} ` : "",
      h("b", {}, i < 0 ? "n/a" : format(valueAt(curve, i, smoothing))),
      isSmooth(curve, smoothing) ? h("small", {}, ` smoothed ${smoothing.toFixed(2)}`) : null);
  }),
  unit ? h("small", {}, unit) : null,
];
