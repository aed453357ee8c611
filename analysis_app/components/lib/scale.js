// Axes: numbers to pixels and back, straight or logarithmic, and where a person expects the ticks.

import { count } from "./dom.js";

// `from` and `to` are pixels. A logarithmic axis that may start at 0 is shifted: log(v + shift).
export function scale(low, high, from, to, { log = false, shift = 0 } = {}) {
  const f = log ? (v) => Math.log10(Math.max(v + shift, 1e-300)) : (v) => v;
  const a = f(low), k = (to - from) / (f(high) - a || 1);
  const at = (v) => from + (f(v) - a) * k;
  at.invert = (pixel) => {
    const found = a + (pixel - from) / k;
    return log ? 10 ** found - shift : found;
  };
  return Object.assign(at, { low, high, log, shift });
}

// About `n` round numbers within the axis.
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

function decades(low, high, n) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high)), found = [];
  const parts = last - first <= n / 2 ? [1, 2, 5] : [1], skip = Math.ceil((last - first) / n);
  for (let power = first; power <= last; power += skip) for (const part of parts) found.push(part * 10 ** power);
  return found.filter((v) => v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9));
}

function round(rough) {
  const size = 10 ** Math.floor(Math.log10(rough));
  return size * [1, 2, 5, 10].find((part) => part * size >= rough * 0.999);
}

const CLOCK = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
const clock = (
  rough,
) => (rough < 1 ? round(rough) : CLOCK.find((step) => step >= rough) ?? 86400 * round(rough / 86400));

// A number as short as it can be said: 1.5k, 2M, 6e-4, 3.21.
export function brief(x, digits = 3) {
  if (typeof x !== "number" || !Number.isFinite(x)) return "n/a";
  const size = Math.abs(x);
  if (size >= 1e15 || (size !== 0 && size < 1e-3)) return x.toExponential(digits - 1).replace(/\.?0*e\+?/, "e");
  const [unit, name] = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e4, "k"]].find(([u]) => size >= u) ?? [1, ""];
  if (name) return `${Number((x / (name === "k" ? 1e3 : unit)).toPrecision(digits))}${name}`;
  return size >= 1000 ? count(Math.round(x)) : String(Number(x.toPrecision(digits)));
}

// Seconds as a person says them: 45 s, 12 min 30 s, 3 h 5 min, 2 d 4 h.
export function duration(seconds) {
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return "n/a";
  const s = Math.max(0, seconds);
  if (s < 59.5) return `${s < 10 && s % 1 ? Number(s.toFixed(1)) : Math.round(s)} s`;
  const whole = Math.round(s), parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = parts.findIndex(([, size]) => whole >= size), [a, b] = [parts[first], parts[first + 1]];
  const rest = Math.floor((whole % a[1]) / b[1]);
  return `${Math.floor(whole / a[1])} ${a[0]}${rest ? ` ${rest} ${b[0]}` : ""}`;
}
