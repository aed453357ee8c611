// The numbers of this moment, each with how to read it.

import { bytes, count, h, replace, short } from "../lib/dom.js";
import { brief } from "../lib/scale.js";
import { loss } from "./words.js";

const TREND = 0.004; // of the value: less is standing still

export function numbers() {
  const root = h("dl", { class: "lab-now" });
  return { root, show };

  function show(history, status, facts, smoothing) {
    const tips = facts.metrics ?? {}, train = history.get("train/loss"), val = history.latest("val/loss"),
      bits = history.latest("val/bits_per_byte");
    const smooth = train.n ? train.smoothed(smoothing)[train.n - 1] : NaN, memory = history.latest("perf/memory_bytes"),
      clipped = history.latest("train/clipped");
    const perToken = facts.bytes_per_token,
      ownBits = Number.isFinite(smooth) && perToken ? smooth / Math.LN2 / perToken : null;
    const rate = history.latest("train/lr"), scale = status.lr_scale ?? 1, norm = history.latest("train/grad_norm"),
      speed = status.tokens_per_second ?? history.latest("perf/tokens_per_second")?.value;
    const [ends, low, high] = ["final_val_loss", "low", "high"].map((name) =>
      history.latest(`forecast/${name}`)?.value
    );
    const rows = [
      ["train loss", number(smooth), trend(train, smoothing), "train/loss"],
      ["val loss", loss(val?.value), val ? `at step ${count(val.step)}` : "not measured yet", "val/loss"],
      ["perplexity", brief(Math.exp(val?.value ?? smooth)), val ? "of the validation text" : "of the training text",
        "val/perplexity"],
      ["bits per byte", brief(bits?.value ?? ownBits), bits || !ownBits ? "" : "of the training text",
        "val/bits_per_byte"],
      ["will end at", loss(ends),
        low < high ? `${loss(low)} to ${loss(high)}, 8 times in 10` : "said after some validations",
        "forecast/final_val_loss"],
      ["learning rate", brief(rate?.value), scale === 1 ? "" : `schedule × ${brief(scale)}`, "train/lr"],
      ["gradient norm", brief(norm?.value), clipped?.value > 0
        ? `${Math.round(100 * clipped.value)} % clipped`
        : facts.clip
        ? `clipped above ${brief(facts.clip)}`
        : "", "train/grad_norm"],
      ["tokens/s", short(speed && Math.round(speed)), "", "perf/tokens_per_second"],
      ["memory", memory ? bytes(memory.value) : "n/a", facts.memory_total ? `of ${bytes(facts.memory_total)}` : "",
        "perf/memory_bytes"],
      ["tokens seen", short(status.tokens),
        facts.parameters && status.tokens ? `${brief(status.tokens / facts.parameters)} a parameter` : "", null],
      ["parameters", short(facts.parameters), [facts.corpus, facts.tokenizer].filter(Boolean).join(", "), null],
    ];
    // Written in place: a tooltip that is being read would vanish with its element.
    if (!root.children.length)
      replace(root,
        ...rows.map(([name]) =>
          h("div", { data: { fact: name } }, h("dt", {}, name), h("dd", {}, h("b"), h("small")))
        ));
    rows.forEach(([, value, note, metric], i) => {
      const cell = root.children[i],
        tip = metric && tips[metric] ? `${tips[metric].how_to_read} (${tips[metric].unit})` : "";
      if (cell.title !== tip) cell.title = tip;
      [cell.querySelector("b").textContent, cell.querySelector("small").textContent] = [value, note];
    });
  }

  function number(x) {
    return Number.isFinite(x) ? loss(x) : "no number";
  }

  // Against the average a tenth of the curve ago.
  function trend(series, smoothing) {
    const { n } = series, values = series.smoothed(smoothing), before = values[Math.floor(0.9 * (n - 1))],
      now = values[n - 1];
    if (n < 20 || !Number.isFinite(before) || !Number.isFinite(now)) return "";
    const change = (now - before) / Math.abs(before);
    return Math.abs(change) < TREND ? "level" : change < 0 ? "▼ falling" : "▲ rising";
  }
}
