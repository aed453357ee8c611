// A run as the page knows it: its curves, events and samples, kept up to date by the messages of the connection.

import { Series } from "../lib/series.js";

const KEPT = ["train/loss", "val/loss", "val/bits_per_byte", "train/grad_norm", "train/lr", "train/clipped",
  "perf/tokens_per_second", "perf/memory_bytes", "stats/update_ratio"];
const FORECAST = ["forecast/final_val_loss", "forecast/low", "forecast/high"];
// A line of training without these was not finite there; a line without `train/lr` is none of training.
const OF_A_STEP = ["train/loss", "train/grad_norm"], ITS_SIGN = "train/lr";

export class History {
  constructor() {
    this.reset();
  }

  reset() {
    this.series = Object.fromEntries([...KEPT, ...FORECAST].map((name) => [name, new Series()]));
    [this.events, this.samples] = [[], []];
    this.rows = 0;
  }

  metrics({ columns }) {
    const { step, tokens = [], time = [] } = columns;
    if (!step) return;
    this.rows += step.length;
    for (const [name, series] of Object.entries(this.series)) {
      const values = name === "stats/update_ratio" ? mean(columns, name, step.length) : columns[name];
      if (!values) continue;
      const signs = OF_A_STEP.includes(name) ? columns[ITS_SIGN] : null;
      for (let i = 0; i < step.length; i++) {
        const value = values[i];
        if (typeof value === "number") series.push(step[i], tokens[i], time[i], value);
        else if (signs && typeof signs[i] === "number") series.push(step[i], tokens[i], time[i], NaN);
      }
    }
  }

  rewind({ step }) {
    for (const series of Object.values(this.series)) series.rewind(step);
  }

  add({ events = [], samples = [] }) {
    for (const event of events) this.events.push(event);
    for (const sample of samples) this.samples.push(sample);
  }

  get(name) {
    return this.series[name];
  }

  latest(name) {
    return this.series[name].last();
  }

  // Of events and samples those that still count: training went back, and what lies beyond was of the way not taken.
  standing(items) {
    const back = this.events.filter((event) => event.kind === "rewound" && Number.isInteger(event.step));
    return back.length
      ? items.filter((item) => !back.some((event) => item.wall < event.wall && item.step > event.step))
      : items;
  }

  // Where a step lies on every axis, from the curve with the most points; null before anything was measured.
  place(step) {
    const curve = this.series["train/loss"], i = curve.nearest("step", step);
    return i < 0 ? null : { step, tokens: curve.x("tokens")[i], time: curve.x("time")[i] };
  }

  // The step since which the loss is no number; null while it is one.
  get lostAt() {
    const { y, n } = this.series["train/loss"], steps = this.series["train/loss"].x("step");
    if (!n || !Number.isNaN(y[n - 1])) return null;
    let i = n - 1;
    while (i > 0 && Number.isNaN(y[i - 1])) i--;
    return steps[i];
  }
}

// Of a metric that is measured layer by layer, the mean over its layers.
function mean(columns, name, rows) {
  const parts = Object.keys(columns).filter((key) => key === name || key.startsWith(`${name}.`)).map((key) =>
    columns[key]
  );
  if (parts.length < 2) return parts[0];
  return Array.from({ length: rows }, (_, i) => {
    const found = parts.map((part) => part[i]).filter((value) => typeof value === "number");
    return found.length ? found.reduce((a, b) => a + b, 0) / found.length : null;
  });
}
