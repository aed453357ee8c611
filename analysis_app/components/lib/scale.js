// Axes: numbers to pixels and back, straight or logarithmic, and where a reader expects the ticks.

import { count } from "./dom.js";

/**
 * `from` and `to` are pixels. A logarithmic axis that may start at 0 is shifted: log(v + shift).
 * @param {number} low
 * @param {number} high
 * @param {number} from
 * @param {number} to
 * @returns {Lab.Scale}
 */
export function scale(low, high, from, to, { log = false, shift = 0 } = {}) {
  /** @type {(v: number) => number} */
  const f = log ? (v) => Math.log10(Math.max(v + shift, 1e-300)) : (v) => v;
  const a = f(low), k = (to - from) / (f(high) - a || 1);
  /** @param {number} pixel */
  const invert = (pixel) => {
    const found = a + (pixel - from) / k;
    return log ? 10 ** found - shift : found;
  };
  return Object.assign((/** @type {number} */ v) => from + (f(v) - a) * k, { invert, low, high, log, shift });
}

/**
 * About `n` round numbers within the axis.
 * @param {Lab.Scale} axis
 * @param {number} n
 * @param {boolean} [time] whether they are seconds, which have round numbers of their own
 */
export function ticks(axis, n, time = false) {
  const { low, high, log, shift } = axis;
  if (!(high > low)) return [low];
  if (log) {
    const found = decades(Math.max(low, shift || low), high, n);
    if (found.length >= 3) return low < found[0] && shift ? [low, ...found] : found;
  }
  const step = time ? clock((high - low) / n) : round((high - low) / n);
  const first = Math.ceil(low / step - 1e-9), found = [];
  for (let i = first; i * step <= high + 1e-9 * step; i++) found.push(i === 0 ? 0 : i * step);
  return found;
}

/** @param {number} low @param {number} high @param {number} n */
function decades(low, high, n) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high)), found = [];
  const parts = last - first <= n / 2 ? [1, 2, 5] : [1], skip = Math.ceil((last - first) / n);
  for (let power = first; power <= last; power += skip) for (const part of parts) found.push(part * 10 ** power);
  return found.filter((v) => v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9));
}

/** @param {number} rough */
function round(rough) {
  const size = 10 ** Math.floor(Math.log10(rough));
  return size * ([1, 2, 5].find((part) => part * size >= rough * 0.999) ?? 10);
}

const CLOCK = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

/** @param {number} rough seconds */
function clock(rough) {
  if (rough < 1) return round(rough);
  return CLOCK.find((step) => step >= rough) ?? 86400 * round(rough / 86400);
}

/** @type {[size: number, name: string][]} */
const UNITS = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]];

/** A number as short as it can be said: 1.5k, 2M, 6e-4, 3.21. @param {unknown} x */
export function brief(x, digits = 3) {
  if (typeof x !== "number" || !Number.isFinite(x)) return "n/a";
  const size = Math.abs(x);
  if (size >= 1e15 || (size !== 0 && size < 1e-3)) return x.toExponential(digits - 1).replace(/\.?0*e\+?/, "e");
  const unit = size >= 1e4 && UNITS.find(([u]) => size >= u);
  if (unit) return `${Number((x / unit[0]).toPrecision(digits))}${unit[1]}`;
  return size >= 1000 ? count(Math.round(x)) : String(Number(x.toPrecision(digits)));
}

/** @type {[name: string, seconds: number][]} */
const PARTS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** Seconds as a reader says them: 45 s, 12 min 30 s, 3 h 5 min, 2 d 4 h. @param {unknown} seconds */
export function duration(seconds) {
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return "n/a";
  const s = Math.max(0, seconds);
  if (s < 59.5) return `${s < 10 && s % 1 ? Number(s.toFixed(1)) : Math.round(s)} s`;
  const whole = Math.round(s), first = PARTS.findIndex(([, size]) => whole >= size);
  const [[a, long], [b, short]] = PARTS.slice(first), rest = Math.floor((whole % long) / short);
  return `${Math.floor(whole / long)} ${a}${rest ? ` ${rest} ${b}` : ""}`;
}
