// A run as the page knows it: its curves, events and samples, kept up to date by the messages of the connection.

import { Series } from "../lib/series.js";

const KEPT = ["train/loss", "val/loss", "val/bits_per_byte", "val/subset_loss", "val/subset_loss_error",
  "val/subset_bits_per_byte", "train/grad_norm", "train/lr", "train/clipped", "perf/tokens_per_second",
  "perf/memory_bytes", "stats/update_ratio", "forecast/final_val_loss", "forecast/low", "forecast/high"];
const BY_LAYER = "stats/update_ratio";
// A line of training without these was not finite there; a line without `train/lr` is none of training.
const OF_A_STEP = ["train/loss", "train/grad_norm"], ITS_SIGN = "train/lr";

export class RunData {
  /** @type {Record<string, Series>} */
  series = {};
  /** @type {Lab.RunEvent[]} */
  events = [];
  /** @type {Lab.Sample[]} */
  samples = [];

  constructor() {
    this.reset();
  }

  reset() {
    this.series = Object.fromEntries(KEPT.map((name) => [name, new Series()]));
    [this.events, this.samples] = [[], []];
  }

  /** @param {Lab.Messages["metrics"]} message */
  metrics({ columns }) {
    const { step, tokens = [], time = [] } = columns;
    if (!step) return;
    for (const [name, series] of Object.entries(this.series)) {
      const values = name === BY_LAYER ? mean(columns, name, step.length) : columns[name];
      if (!values) continue;
      const signs = OF_A_STEP.includes(name) ? columns[ITS_SIGN] : null;
      for (let i = 0; i < step.length; i++) {
        const value = values[i] ?? (typeof signs?.[i] === "number" ? NaN : null);
        if (value !== null) series.push(step[i], tokens[i], time[i], value);
      }
    }
  }

  /** @param {Lab.Messages["rewind"]} message */
  rewind({ step }) {
    for (const series of Object.values(this.series)) series.rewind(step);
  }

  /** @param {{ events?: Lab.RunEvent[], samples?: Lab.Sample[] }} message */
  add({ events = [], samples = [] }) {
    for (const event of events) this.events.push(event);
    for (const sample of samples) this.samples.push(sample);
  }

  /** @param {string} name */
  get(name) {
    return this.series[name];
  }

  /** @param {string} name */
  latest(name) {
    return this.series[name].last();
  }

  /**
   * Of events and samples those that still count: training went back, and what lies beyond was of the way not taken.
   * @template {{ step: number | null, wall: number }} Item
   * @param {Item[]} items
   */
  standing(items) {
    const back = this.events.filter((event) => event.kind === "rewound" && Number.isInteger(event.step));
    return items.filter(({ step, wall }) =>
      !back.some((event) => wall < event.wall && (step ?? 0) > (event.step ?? 0))
    );
  }

  /** Where a step lies on every axis; null before anything was measured. @param {number} step */
  place(step) {
    const curve = this.series["train/loss"], i = curve.nearest("step", step);
    return i < 0 ? null : { step, tokens: curve.x("tokens")[i], time: curve.x("time")[i] };
  }

  /** The step since which the loss is no number; null while it is one. */
  get lostAt() {
    const curve = this.series["train/loss"], steps = curve.x("step"), first = curve.lastIndex + 1;
    return first < curve.n ? steps[first] : null;
  }
}

/**
 * Of a metric that is measured layer by layer, the mean over its layers.
 * @param {Lab.Columns} columns
 * @param {string} name
 * @param {number} rows
 */
function mean(columns, name, rows) {
  const parts = Object.entries(columns).filter(([key]) => key === name || key.startsWith(`${name}.`));
  if (parts.length < 2) return parts[0]?.[1];
  return Array.from({ length: rows }, (_, i) => {
    const found = parts.map(([, values]) => values[i]).filter((value) => typeof value === "number");
    return found.length ? found.reduce((a, b) => a + b, 0) / found.length : null;
  });
}
