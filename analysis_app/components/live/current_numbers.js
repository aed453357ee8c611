// The numbers of this moment, each with how to read it.

import { bytes, count, fixed, h, replace, short } from "../lib/dom.js";
import { brief } from "../lib/scale.js";

const TREND = 0.004; // of the value: less is standing still

/** @typedef {[name: string, value: string, note: string, metric: string | null]} Row `metric` has the tooltip */

export class CurrentNumbers {
  root = h("dl", { class: "lab-now" });

  /**
   * @param {import("./run_data.js").RunData} data
   * @param {Lab.Status} status
   * @param {Lab.Facts} facts
   */
  show(data, status, facts) {
    const rows = [...losses(data, facts), ...training(data, status, facts)];
    // Written in place: a tooltip that is being read would vanish with its element.
    if (!this.root.children.length)
      replace(this.root,
        ...rows.map(([name]) =>
          h("div", { data: { fact: name } }, h("dt", {}, name), h("dd", {}, h("b"), h("small")))
        ));
    const cells = this.root.querySelectorAll("div");
    rows.forEach(([, value, note, metric], i) => {
      const about = metric && facts.metrics?.[metric], tip = about ? `${about.how_to_read} (${about.unit})` : "";
      const cell = cells[i], [shown, said] = cell.querySelectorAll("b, small");
      if (cell.title !== tip) cell.title = tip;
      [shown.textContent, said.textContent] = [value, note];
    });
  }
}

/** @param {import("./run_data.js").RunData} data @param {Lab.Facts} facts @returns {Row[]} */
function losses(data, { bytes_per_token: perToken }) {
  const train = data.get("train/loss"), whole = data.latest("val/loss"), part = data.latest("val/subset_loss");
  const onPart = part && (whole?.step ?? -1) < part.step, val = onPart ? part : whole;
  const bits = data.latest(onPart ? "val/subset_bits_per_byte" : "val/bits_per_byte");
  const error = onPart ? `± ${fixed(data.latest("val/subset_loss_error")?.value)}, ` : "";
  const now = train.n ? train.y[train.n - 1] : NaN, known = Number.isFinite(now);
  const own = known && perToken ? now / Math.LN2 / perToken : null;
  const [ends, low, high] = ["final_val_loss", "low", "high"].map((name) => data.latest(`forecast/${name}`)?.value);
  const forecast = low !== undefined && high !== undefined && low < high;
  return [
    ["train loss", known ? fixed(now) : "no number", trend(train), "train/loss"],
    [onPart ? "val loss, subset" : "val loss", fixed(val?.value),
      val ? `${error}at step ${count(val.step)}` : "not measured yet", onPart ? "val/subset_loss" : "val/loss"],
    ["perplexity", brief(Math.exp(val?.value ?? now)), val ? "of the validation text" : "of the training text",
      "val/perplexity"],
    ["bits per byte", brief(bits?.value ?? own), bits || !own ? "" : "of the training text", "val/bits_per_byte"],
    ["will end at", fixed(ends),
      forecast ? `${fixed(low)} to ${fixed(high)}, 8 times in 10` : "said after some validations",
      "forecast/final_val_loss"],
  ];
}

/**
 * @param {import("./run_data.js").RunData} data
 * @param {Lab.Status} status
 * @param {Lab.Facts} facts
 * @returns {Row[]}
 */
function training(data, status, { clip, memory_total: whole, parameters, corpus, tokenizer }) {
  const rate = data.latest("train/lr"), norm = data.latest("train/grad_norm"),
    memory = data.latest("perf/memory_bytes");
  const clipped = data.latest("train/clipped")?.value ?? 0, scale = status.lr_scale ?? 1;
  const speed = status.tokens_per_second ?? data.latest("perf/tokens_per_second")?.value;
  const limit = clipped > 0 ? `${Math.round(100 * clipped)} % clipped` : clip ? `clipped above ${brief(clip)}` : "";
  const each = parameters && status.tokens ? `${brief(status.tokens / parameters)} a parameter` : "";
  return [
    ["learning rate", brief(rate?.value), scale === 1 ? "" : `schedule × ${brief(scale)}`, "train/lr"],
    ["gradient norm", brief(norm?.value), limit, "train/grad_norm"],
    ["tokens/s", short(speed && Math.round(speed)), "", "perf/tokens_per_second"],
    ["memory", bytes(memory?.value), whole ? `of ${bytes(whole)}` : "", "perf/memory_bytes"],
    ["tokens seen", short(status.tokens), each, null],
    ["parameters", short(parameters), [corpus, tokenizer].filter(Boolean).join(", "), null],
  ];
}

/**
 * The last tenth of the curve against the tenth before, whatever the picture is smoothed by.
 * @param {Lab.Series} series
 */
function trend({ n, y }) {
  const tenth = Math.floor(n / 10), now = mean(y.subarray(n - tenth)),
    before = mean(y.subarray(n - 2 * tenth, n - tenth));
  const change = (now - before) / Math.abs(before);
  if (n < 20 || !Number.isFinite(change)) return "";
  return Math.abs(change) < TREND ? "level" : change < 0 ? "▼ falling" : "▲ rising";
}

/** @param {Float32Array} values */
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
