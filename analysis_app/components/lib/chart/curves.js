// What a line chart shows inside its axes: curves, reference lines with their names, markers.

import { css } from "../colour.js";
import { thin } from "../series.js";
import { font, stroke } from "./axes.js";

/** @param {Lab.Context} context @param {Lab.Axes} axes @param {Lab.ChartOptions} options */
export function drawCurves(context, axes, { lines, series, markers, smoothing }) {
  const { left, right, top, bottom } = axes;
  context.save();
  context.beginPath();
  context.rect(left, top - 2, right - left, bottom - top + 4);
  context.clip();
  const levels = lines.map((line) => ({ ...line, at: axes.up(line.value) })).filter(({ at }) =>
    at >= top - 1 && at <= bottom + 1
  );
  levels.forEach((level) => dashes(context, axes, level));
  series.forEach((curve) => draw(context, axes, curve, smoothing));
  names(context, axes, levels.sort((a, b) => a.at - b.at));
  markers.forEach((marker) => mark(context, axes, marker));
  context.restore();
}

// ---------------------------------------------------------------- reference lines

/** @typedef {Lab.Line & { at: number }} Level a reference line and where it stands */

/** @param {Lab.Context} context @param {Lab.Axes} axes @param {Level} level */
function dashes(context, { left, right, bottom }, { at, colour = "--lab-muted" }) {
  const y = Math.round(at) + 0.5;
  if (y > bottom + 1) return; // it would hide the axis
  context.strokeStyle = css(colour);
  context.setLineDash([5, 4]);
  context.globalAlpha = 0.75;
  stroke(context, [left, y], [right, y]);
  context.setLineDash([]);
  context.globalAlpha = 1;
}

/**
 * Each on its own ground, so that the curve behind does not make it unreadable, and beside its neighbour where two
 * lines lie close together.
 * @param {Lab.Context} context
 * @param {Lab.Axes} axes
 * @param {Level[]} levels from the top
 */
function names(context, { right, top }, levels) {
  context.font = font();
  [context.textAlign, context.textBaseline] = ["right", "middle"];
  let before = { y: -Infinity, left: right };
  for (const { at, label, colour = "--lab-muted" } of levels) {
    const wide = context.measureText(label).width, y = at - 14 < top ? at + 9 : at - 8;
    const end = Math.abs(y - before.y) < 14 ? before.left - 8 : right - 3;
    context.globalAlpha = 0.85;
    context.fillStyle = css("--lab-card");
    context.fillRect(end - wide - 3, y - 7, wide + 6, 14);
    context.globalAlpha = 1;
    context.fillStyle = css(colour);
    context.fillText(label, end, y);
    before = { y, left: end - wide };
  }
}

// ---------------------------------------------------------------- curves

/** Line width in pixels and opacity, by style; `smooth` is the faint curve behind the moving average. */
const STROKES = { smooth: [1, 0.3], dots: [1.25, 0.55], line: [1.6, 1] };

/** @param {Lab.Context} context @param {Lab.Axes} axes @param {Lab.Curve} curve @param {number} smoothing */
function draw(context, axes, { data, band, colour = "--lab-accent", style = "line" }, smoothing) {
  const { across, up, x } = axes, [from, to] = data.between(x, across.low, across.high), xs = data.x(x), { y } = data;
  context.strokeStyle = context.fillStyle = css(colour);
  if (band?.n) shade(context, axes, data, band, from, to);
  context.lineJoin = "round";
  const look = style === "smooth" && !(smoothing > 0) ? "line" : style;
  path(context, thin(xs, y, data.low, data.high, from, to, across), up, ...STROKES[look]);
  if (look === "smooth") {
    const strong = data.smoothed(smoothing);
    path(context, thin(xs, strong, strong, strong, from, to, across), up, 2, 1);
  }
  if (look === "dots" && to - from < 400) {
    for (let i = from; i < to; i++) if (!Number.isNaN(y[i])) dot(context, across(xs[i]), up(y[i]), 2.8);
  }
  // Where the numbers end before the steps do, a cross says so.
  const end = data.n - 1, last = data.lastIndex;
  if (end > 0 && last < end)
    shape(context, "cross", across(xs[Math.max(0, last)]), last < 0 ? 20 : up(y[last]), css("--lab-bad"), 6);
}

/**
 * Two standard errors up and down: where the whole lies, of which the curve is a sample, 19 times in 20.
 * @param {Lab.Context} context
 * @param {Lab.Axes} axes
 * @param {import("../series.js").Series} data
 * @param {import("../series.js").Series} band
 * @param {number} from
 * @param {number} to
 */
function shade(context, { across, up, x }, data, band, from, to) {
  const xs = data.x(x), steps = data.x("step"), known = [];
  for (let i = from; i < to; i++) {
    const error = 2 * band.y[band.nearest("step", steps[i])];
    if (error >= 0 && !Number.isNaN(data.y[i])) known.push([across(xs[i]), data.y[i], error]);
  }
  if (!known.length) return;
  context.globalAlpha = 0.16;
  context.beginPath();
  for (const [at, value, error] of known) context.lineTo(at, up(value + error));
  // On a logarithmic axis nothing lies below 0.
  for (const [at, value, error] of known.reverse()) context.lineTo(at, up(Math.max(value - error, value / 10)));
  context.fill();
  context.globalAlpha = 1;
}

/**
 * @param {Lab.Context} context
 * @param {number[]} columns as `thin` gives them
 * @param {Lab.Scale} up
 * @param {number} [width]
 * @param {number} [alpha]
 */
function path(context, columns, up, width = 1, alpha = 1) {
  context.lineWidth = width;
  context.globalAlpha = alpha;
  context.beginPath();
  let broken = true;
  for (let i = 0; i < columns.length; i += 5) {
    const x = columns[i];
    if (Number.isNaN(x)) {
      broken = true;
      continue;
    }
    const [first, low, high, last] = [up(columns[i + 1]), up(columns[i + 2]), up(columns[i + 3]), up(columns[i + 4])];
    if (broken) context.moveTo(x, first);
    else context.lineTo(x, first);
    if (low !== high) {
      context.lineTo(x, low);
      context.lineTo(x, high);
      context.lineTo(x, last);
    }
    broken = false;
  }
  context.stroke();
  context.globalAlpha = 1;
}

// ---------------------------------------------------------------- markers

/** @param {Lab.Context} context @param {Lab.Axes} axes @param {Lab.Marker} marker */
function mark(context, { across, top, bottom, x }, marker) {
  const at = across(marker[x]);
  if (!Number.isFinite(at)) return;
  if (marker.kind === "seam") {
    context.fillStyle = css("--lab-muted");
    context.globalAlpha = 0.5;
    context.fillRect(Math.round(at), top, 1, bottom - top);
    context.globalAlpha = 1;
  } else
    shape(context, marker.kind, at, bottom - 7, css(`--lab-${marker.kind}`) || css("--lab-muted"), 4.5);
}

/** @param {Lab.Context} context @param {number} x @param {number} y @param {number} radius */
export function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

/**
 * Outlines of one or more pieces, drawn, not written: not every machine has a font with these signs.
 * @type {Record<string, [x: number, y: number][][]>}
 */
const OUTLINES = {
  checkpoint: [[[0, -1], [1, 0], [0, 1], [-1, 0]]],
  sample: [[[0, -0.9], [1, 0.8], [-1, 0.8]]],
  pause: [[[-0.8, -0.9], [-0.2, -0.9], [-0.2, 0.9], [-0.8, 0.9]], [[0.2, -0.9], [0.8, -0.9], [0.8, 0.9], [0.2, 0.9]]],
  finding: [[[-0.8, -1.4], [1, -0.8], [-0.5, -0.1], [-0.5, 1.2], [-0.8, 1.2]]],
  cross: [[[-1, -0.7], [-0.7, -1], [0, -0.3], [0.7, -1], [1, -0.7], [0.3, 0], [1, 0.7], [0.7, 1], [0, 0.3], [-0.7, 1], [
    -1,
    0.7,
  ], [-0.3, 0]]],
};

/**
 * @param {Lab.Context} context
 * @param {string} kind
 * @param {number} x
 * @param {number} y
 * @param {string} colour
 * @param {number} size
 */
function shape(context, kind, x, y, colour, size) {
  context.fillStyle = colour;
  if (!(kind in OUTLINES)) return dot(context, x, y, size * 0.6);
  context.beginPath();
  for (const outline of OUTLINES[kind]) {
    outline.forEach(([dx, dy], i) => context[i ? "lineTo" : "moveTo"](x + dx * size, y + dy * size));
    context.closePath();
  }
  context.fill();
}
