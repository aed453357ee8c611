// Where everything stands in a line chart, and its grid with numbers.

import { css } from "../colour.js";
import { brief, duration, scale, ticks } from "../scale.js";

const SIDES = { left: 48, right: 14, top: 10, bottom: 22 };
const X_NAMES = { step: "step", tokens: "tokens", time: "training time" };

/** What x is called. @param {Lab.ChartOptions} options */
export const nameOfX = ({ x, xName }) => xName ?? X_NAMES[x];

/** A place on x in words. @param {number} value @param {Lab.Axis} x */
export function textOfX(value, x) {
  if (x === "time") return duration(value);
  return x === "step" ? brief(Math.round(value), value >= 1e6 ? 5 : 6) : brief(value);
}

export const font = () => `11px ${css("--font") || "system-ui, sans-serif"}`;

/** @param {Lab.Context} context @param {[x: number, y: number]} from @param {[x: number, y: number]} to */
export function stroke(context, from, to) {
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}

// ---------------------------------------------------------------- measuring

/**
 * The axes of what is seen; null while there is nothing to see.
 * @param {Lab.ChartOptions} options
 * @param {number} width
 * @param {Lab.Range | null} zoomX
 * @param {Lab.Range | null} zoomY
 * @returns {Lab.Axes | null}
 */
export function measure({ series, lines, x, logX, logY, range, height }, width, zoomX, zoomY) {
  const seen = series.filter(({ data }) => data.n);
  if (!seen.length) return null;
  const xs = seen.map(({ data }) => data.x(x)), shift = logX ? Math.min(...xs.map(firstPositive)) : 0;
  let [low, high] = zoomX ?? range ?? [Math.min(...xs.map((v) => v[0])), Math.max(...xs.map((v) => v[v.length - 1]))];
  if (!(high > low)) [low, high] = logX || low > 0 ? [low * 0.9, low * 1.1 || 1] : [low - 1, low + 1];
  const [left, right, top, bottom] = [SIDES.left, width - SIDES.right, SIDES.top, height - SIDES.bottom];
  const [least, most] = zoomY ?? roomy(...extremes(seen, x, low, high, logY, zoomX ? [] : lines), logY);
  return { left, right, top, bottom, x, across: scale(low, high, left, right, { log: logX, shift }),
    up: scale(least, most, bottom, top, { log: logY }) };
}

/** @param {Float64Array} xs */
const firstPositive = (xs) => xs.find((x) => x > 0) ?? 1;

/**
 * The lowest and the highest value between two places on x, those of reference lines among them.
 * @param {Lab.Curve[]} series
 * @param {Lab.Axis} x
 * @param {number} low
 * @param {number} high
 * @param {boolean} log
 * @param {Lab.Line[]} lines
 * @returns {Lab.Range}
 */
function extremes(series, x, low, high, log, lines) {
  let least = Infinity, most = -Infinity;
  for (const { data } of series) {
    const [from, to] = data.between(x, low, high), [lows, highs, xs] = [data.low, data.high, data.x(x)];
    for (let i = from; i < to; i++) {
      if (to - from > 2 && (xs[i] < low || xs[i] > high)) continue;
      if (lows[i] < least && (!log || lows[i] > 0)) least = lows[i];
      if (highs[i] > most) most = highs[i];
    }
  }
  for (const { value } of lines) {
    if (!Number.isFinite(value) || (log && value <= 0)) continue;
    [least, most] = [Math.min(least, value), Math.max(most, value)];
  }
  return least <= most ? [least, most] : [log ? 0.1 : 0, 1];
}

/** With some room above and below. @param {number} least @param {number} most @param {boolean} log */
function roomy(least, most, log) {
  if (log) {
    const factor = least === most ? 1.2 : (most / least) ** 0.05;
    return [least / factor, most * factor];
  }
  if (least === most) return least === 0 ? [-1, 1] : [Math.min(0, 2 * least), Math.max(0, 2 * least)];
  const room = 0.06 * (most - least);
  return [least >= 0 && least < room ? 0 : least - room, most + room];
}

// ---------------------------------------------------------------- drawing

/** @param {Lab.Context} context @param {Lab.Axes} axes @param {number} height of the chart */
export function drawGrid(context, { across, up, left, right, top, bottom, x }, height) {
  context.font = font();
  context.lineWidth = 1;
  context.textBaseline = "middle";
  context.textAlign = "right";
  const levels = ticks(up, height < 160 ? 4 : 5), fine = levels.length > 1 ? Math.abs(levels[1] - levels[0]) : 1;
  for (const value of levels) {
    const at = Math.round(up(value)) + 0.5;
    if (at < top - 1 || at > bottom + 1) continue;
    context.strokeStyle = css("--lab-grid");
    stroke(context, [left, at], [right, at]);
    context.fillStyle = css("--lab-muted");
    context.fillText(brief(value, Math.max(3, Math.ceil(Math.log10(Math.abs(value) / fine)) + 1 || 3)), left - 7, at);
  }
  context.textBaseline = "top";
  let free = -Infinity;
  for (const value of ticks(across, Math.max(2, Math.floor((right - left) / 90)), x === "time")) {
    const at = across(value), text = textOfX(value, x), half = context.measureText(text).width / 2;
    if (at - half < free || at > right + 1) continue;
    context.textAlign = at + half > right + SIDES.right ? "right" : "center";
    context.fillText(text, context.textAlign === "right" ? right + SIDES.right : at, bottom + 7);
    free = at + half + 10;
  }
  context.strokeStyle = css("--lab-line");
  stroke(context, [left, bottom + 0.5], [right, bottom + 0.5]);
}
