// Sick runs: the curves of a broken run, a guess at the cause, the answer with its evidence, beside the healthy twin.

import { chartGroup, lineChart } from "./lib/chart.js";
import { get, post } from "./lib/client.js";
import { count, fixed, h, replace, short } from "./lib/dom.js";
import { Series } from "./lib/series.js";
import { on } from "./lib/store.js";

const LOSSES = ["train/loss", "val/loss"];
const OTHERS = {
  "train/grad_norm": ["Gradient norm", "before clipping"],
  "stats/update_ratio": ["Update / weights", "largest of the layers"],
  "train/lr": ["Learning rate", ""],
  "stats/entropy": ["Attention entropy", "lowest of the layers; 1 is even"],
  "stats/attn_logit_max": ["Largest attention logit", ""],
  "stats/resid_norm": ["Residual stream", "norm, largest of the layers"],
  "stats/dead_share": ["Units never on", "largest share of the layers"],
  "stats/saturated_share": ["Units always on", "largest share of the layers"],
  "perf/step_seconds": ["Seconds a step", ""],
  "perf/data_share": ["Waiting for data", "share of the time"],
};
const TWIN = { colour: "--lab-muted", style: "line" };
const NUMBER = (
  value,
) => (value === null ? "n/a" : Math.abs(value) >= 1000 ? short(value) : Number(value.toPrecision(3)).toString());

export function mount(element) {
  const root = element.querySelector(".lab-panel"), body = root.querySelector(".lab-body"),
    message = root.querySelector(".lab-message");
  const tally = h("span", { class: "lab-sick-tally", role: "status" }),
    shelf = h("div", { class: "lab-sick-shelf", role: "group", "aria-label": "sick runs" });
  const place = h("div", {});
  replace(root.querySelector(".lab-actions"), tally);
  replace(body, shelf, place);
  let score = [], number = null, asked = false;

  function wear(state, text = "", extra = null) {
    root.dataset.state = state;
    replace(message, text || null, extra);
  }

  async function guarded(work) {
    try {
      await work();
      wear("ready");
    } catch (error) {
      if (error.id === undefined) console.error(error);
      const again = h("button", { class: "lab-button", onclick: () => {
        asked = false;
        begin();
      } }, "Try again");
      wear("error", "", h("span", {}, h("b", {}, String(error.message)), " ", again));
    }
  }

  // The first time the tab is seen: the first run that was not guessed yet.
  function begin() {
    if (asked || !root.offsetParent) return;
    asked = true;
    wear("loading", "fetching the runs…");
    guarded(async () => {
      score = (await get("api/sick")).guessed;
      if (!score.length)
        throw Object.assign(new Error("There are no recordings: python scripts/record_zoo.py makes them."), { id: "" });
      const open = score.indexOf(null);
      await show(open < 0 ? 1 : open + 1);
    });
  }

  function keep() {
    const right = score.filter((x) => x === true).length, done = score.filter((x) => x !== null).length;
    tally.textContent = done
      ? `${right} of ${done} right the first time; ${score.length - done} left`
      : `${score.length} runs`;
    replace(shelf, ...score.map((right, i) => {
      const state = right === null ? "not guessed yet" : right ? "guessed" : "missed";
      return h("button", { class: "lab-button lab-sick-case", "aria-pressed": String(i + 1 === number),
        data: { right: String(right) }, title: `run ${i + 1}: ${state}`, "aria-label": `run ${i + 1}, ${state}`,
        onclick: () => guarded(() => show(i + 1)) }, `${i + 1}${right === null ? "" : right ? " ✓" : " ✗"}`);
    }));
  }

  async function show(next) {
    const found = await get(`api/sick/${next}`);
    number = next;
    root.dataset.number = number;
    keep();
    const charts = draw(found), verdict = h("div", { class: "lab-sick-verdict" });
    const answers = found.choices.map(({ id, cause }) =>
      h("button", { class: "lab-button lab-sick-choice", data: { choice: id }, onclick: () =>
        guarded(() => guess(id)) }, cause)
    );
    const { parameters, tokens_per_step, epochs, dropout, clip } = found.facts;
    const facts = [["steps", count(found.total_steps)], ["parameters", short(parameters)], ["tokens a step",
      short(tokens_per_step)], ["epochs", epochs === null ? "n/a" : fixed(epochs, 1)], ["dropout", dropout], ["clip",
      clip]];
    replace(place,
      h("div", { class: "lab-chips" },
        ...facts.map(([name, value]) =>
          h("span", { class: "lab-chip" }, `${name} `, h("b", {}, String(value ?? "n/a")))
        )),
      h("div", { class: "lab-sick-split" }, h("div", { class: "lab-sick-main" }, charts.loss),
        h("div", { class: "lab-sick-ask" }, h("h3", {}, `What is wrong with run ${number}?`),
          h("div", { class: "lab-sick-choices" }, ...answers), verdict)), charts.grid);

    async function guess(choice) {
      const solved = await post(`api/sick/${number}/guess`, { choice });
      score = solved.score.guessed;
      keep();
      for (const button of answers) {
        button.disabled = true;
        button.dataset.mark = button.dataset.choice === solved.name
          ? "right"
          : button.dataset.choice === choice
          ? "wrong"
          : "";
      }
      replace(verdict, ...explained(solved, () => guarded(() => show(number % score.length + 1))));
      charts.reveal(solved);
      verdict.querySelector("button")?.focus({ preventScroll: true });
    }
  }

  function draw(found) {
    const group = chartGroup(), grid = h("div", { class: "lab-sick-grid" }), loss = h("div", {}), made = {};
    const lines = Object.entries(found.lines).map(([label, value]) => ({ label, value, colour: "--lab-muted" }));
    const losses = LOSSES.filter((name) => found.curves[name]).map((name) => ({ name: name.split("/")[0],
      data: series(found.curves[name]), colour: name === "train/loss" ? "--lab-train" : "--lab-val",
      style: name === "train/loss" ? "line" : "dots" })
    );
    made.loss = lineChart(loss, { label: "Loss", unit: "nats per token", height: 300, group, lines, series: losses });
    for (const [name, [label, unit]] of Object.entries(OTHERS)) {
      if (!found.curves[name]) continue;
      const cell = grid.appendChild(h("div", { class: "lab-sick-cell" }));
      made[name] = lineChart(cell, { label, unit, height: 120, group,
        series: [{ name: "this run", data: series(found.curves[name]), colour: "--lab-train", style: "line" }] });
    }
    return { loss, grid, reveal };

    function reveal({ twin, findings }) {
      const markers = findings.filter((f) => f.level !== "note").map((f) => ({ step: f.step, kind: "finding",
        title: `doctor, ${f.level}: ${f.rule}`, rows: [["step", count(f.step)]] })
      );
      const ghost = (name, text) => (twin[name] ? [{ name: text, data: series(twin[name]), ...TWIN }] : []);
      made.loss.set({ markers,
        series: [...made.loss.options.series, ...ghost("train/loss", "twin, train"), ...(twin["val/loss"]
          ? [{ name: "twin, val", data: series(twin["val/loss"]), colour: "--lab-muted", style: "dots" }]
          : [])] });
      for (const name of Object.keys(OTHERS))
        made[name]?.set({ series: [...made[name].options.series, ...ghost(name, "twin")] });
    }
  }

  on(() => begin());
  new ResizeObserver(() => begin()).observe(root);
  begin();
}

const series = ([steps, values]) => Series.from(steps, values);

// The answer: right or wrong, what the doctor says, why it matters, what to try, how to see it oneself.
function explained(solved, next) {
  const own = solved.findings.find((f) => f.rule === solved.rule),
    rest = solved.findings.filter((f) => f !== own && f.level !== "note");
  const audit = own?.metric && solved.evidence[own.metric];
  return [
    h("p", { class: "lab-sick-answer", role: "status", data: { right: String(solved.right) } },
      h("b", {}, solved.right ? "Right: " : "No. It is this: "), `${solved.cause}.`),
    h("button", { class: "lab-button lab-primary", onclick: next }, "Next run"),
    own
      ? h("p", {}, h("span", { class: "lab-tag" }, own.level), `${own.what} `,
        h("small", {}, `(seen at step ${count(own.step)}; ${own.rule})`))
      : null,
    own && own.value !== null
      ? h("p", {},
        h("small", {},
          `${own.metric ?? "the plan"}: ${NUMBER(own.value)}${
            own.threshold === null ? "" : ` against ${NUMBER(own.threshold)}`
          }${audit ? `, measured at ${count(audit[0].length)} steps` : ""}`))
      : null,
    h("p", {}, solved.why),
    h("ul", { class: "lab-sick-tries" }, ...solved.tries.map((text) => h("li", {}, text))),
    rest.length
      ? h("details", {}, h("summary", {}, `What else the doctor saw (${rest.length})`),
        h("ul", { class: "lab-sick-tries" },
          ...rest.map((f) => h("li", {}, `${f.level} at step ${count(f.step)}: ${f.what}`))))
      : null,
    h("details", {}, h("summary", {}, "Make it yourself"), h("p", {}, solved.comment),
      h("code", { class: "lab-sick-command" }, solved.command)),
  ].filter(Boolean);
}
