// One metric of the chosen runs over steps, tokens, training time or FLOPs. A click on a curve, such as on a spike,
// shows the batch that the step learned from.

import { lineChart } from "./lib/chart.js";
import { chosenBatch, colourOf, METRIC, request, showBatch } from "./lib/chosen.js";
import { choice, fixed, h, replace, short } from "./lib/dom.js";
import { actionsOf, panel } from "./lib/panel.js";
import { Series } from "./lib/series.js";
import { option, setOption, state } from "./lib/store.js";

const AXES = { step: "steps", tokens: "tokens", time: "training time", flops: "FLOPs" };
const SMOOTH = "0.6";
const SHARP = 5; // pixels within which a click means the point nearest to it, which may be a spike of one step

export function mount(element) {
  let answer = null, chart = null, offered = "", mouse = 0;
  const place = h("div"), words = h("p", { class: "lab-note" }), facts = h("div", { class: "lab-chips" });
  const found = panel(element, {
    anyModel: true,
    request,
    show(overlay) {
      answer = overlay;
      controls();
      draw();
    },
    update(changed) {
      if (["axis", "logs", "smooth", "batch", "run"].some((name) => changed.has(name))) draw();
    },
  });
  replace(found.body, facts, place, words);

  const axis = () => option("axis", "step", (name) => name in AXES);
  const logs = () => option("logs", "", (text) => ["x", "y", "xy"].includes(text));
  const smoothing = () => Number(option("smooth", SMOOTH, (text) => Number(text) >= 0 && Number(text) < 1));

  function controls() {
    if (offered === (offered = answer.metrics.join())) return;
    const flag = (letter, text) => {
      const box = h("input", { type: "checkbox", id: `lab-log-${letter}`,
        onchange: () =>
          setOption("logs", ["x", "y"].filter((one) => (one === letter ? box.checked : logs().includes(one))).join(""),
            "") });
      box.checked = logs().includes(letter);
      return h("label", { class: "lab-choice" }, box, h("span", {}, text));
    };
    const smooth = h("input", { type: "range", min: 0, max: 0.99, step: 0.01, "aria-label": "smoothing",
      oninput: () => setOption("smooth", smooth.value, SMOOTH) });
    smooth.value = smoothing();
    replace(actionsOf(element),
      choice("Curve", answer.metrics.map((name) => [name, name]), answer.metric,
        (name) => setOption("curve", name, METRIC)),
      choice("Over", Object.entries(AXES), axis(), (name) => setOption("axis", name, "step")), flag("x", "log x"),
      flag("y", "log y"), h("label", { class: "lab-choice lab-smooth" }, h("span", {}, "smooth"), smooth));
  }

  function draw() {
    const by = axis(),
      usable = answer.runs.filter((run) => run.curve.value.data.length && (by !== "flops" || run.flops_per_token));
    const series = usable.map((run) => ({ name: run.name, data: data(run, by),
      colour: colourOf(run.name) ?? "--lab-muted", style: run.curve.value.data.length > 120 ? "smooth" : "line" })
    );
    const mine = series.find(({ name }) => name === state.selection.run), batch = chosenBatch();
    const options = {
      label: answer.metric,
      unit: answer.unit,
      series,
      height: 320,
      logX: logs().includes("x"),
      logY: logs().includes("y"),
      smoothing: smoothing(),
      x: by === "flops" ? "tokens" : by,
      xName: by === "flops" ? "training FLOPs" : null,
      cursor: mine && Number.isFinite(batch) ? where(mine.data, batch, by) : null,
      pick,
    };
    if (chart) chart.set(options);
    else {
      chart = lineChart(place, options);
      chart.root.addEventListener("pointermove", (event) => {
        mouse = event.offsetY;
      });
      chart.root.addEventListener("pointerdown", (event) => {
        mouse = event.offsetY;
      });
    }
    const missing = answer.runs.filter((run) => !usable.includes(run) || run.problem && by === "flops").map((run) =>
      `${run.name}: ${run.problem ?? "not on this axis"}`
    );
    words.textContent = [answer.how_to_read, ...missing].join(" · ");
    tell();
    found.root.dataset.runs = usable.map((run) => run.name).join(",");
    found.root.dataset.axis = by;
  }

  // Where all are comparable: after as many tokens each.
  function tell() {
    const at = answer.common_tokens,
      name = answer.metric in (answer.runs[0]?.at_common ?? {}) ? answer.metric : "val/loss";
    const chips = at === null
      ? []
      : answer.runs.map((run) =>
        h("span", { class: "lab-chip", data: { common: run.name } },
          h("i", { class: "lab-swatch", style: { background: `var(${colourOf(run.name) ?? "--lab-muted"})` } }),
          `${run.name} `, h("b", {}, fixed(run.at_common[name], 3)))
      );
    replace(facts,
      at === null ? null : h("span", { class: "lab-note" }, `${name} after ${short(at)} tokens, which all have seen`),
      ...chips);
  }

  function pick(x) {
    const { across, up } = chart.axes(), by = chart.options.x, px = across(x);
    let best = null;
    for (const { name, data: curve } of chart.options.series) {
      const xs = curve.x(by), middle = curve.nearest(by, x);
      for (const side of [-1, 1]) {
        for (let i = middle; i >= 0 && i < curve.n && (i === middle || Math.abs(across(xs[i]) - px) <= SHARP);
          i += side)
        {
          const away = Math.hypot(across(xs[i]) - px, up(curve.y[i]) - mouse);
          if (away < (best?.away ?? Infinity)) best = { away, name, step: curve.x("step")[i] };
        }
      }
    }
    if (best) showBatch(best.name, best.step);
  }
}

// A curve on the chart's axes; FLOPs are tokens times what one costs.
function data({ curve, flops_per_token: each }, by) {
  const tokens = by === "flops" ? Float64Array.from(curve.tokens.data, (n) => n * each) : curve.tokens.data;
  return Series.from(curve.step.data, curve.value.data, { tokens,
    time: Float64Array.from(curve.minutes.data, (m) => 60 * m) });
}

const where = (curve, step, by) => curve.x(by === "flops" ? "tokens" : by)[curve.nearest("step", step)] ?? null;
