// The diagnosis quiz: the curves of a broken run, a guess at the cause, the answer beside the run without the fault.

import { chartGroup, lineChart } from "./lib/chart.js";
import { get, messageOf, post, Refused } from "./lib/client.js";
import { chip, count, fixed, h, replace, short } from "./lib/dom.js";
import { actionsOf, bodyOf, part } from "./lib/panel.js";
import { Series } from "./lib/series.js";
import { on } from "./lib/store.js";

/** @type {Record<string, [label: string, unit: string]>} */
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

/** @typedef {Record<string, Lab.Chart>} Charts by metric; that of both losses is `loss` */

/** @param {number | null} value */
const brief = (
  value,
) => (value === null ? "n/a" : Math.abs(value) >= 1000 ? short(value) : Number(value.toPrecision(3)).toString());

/** @param {Element} element */
export const mount = (element) => new Quiz(element);

class Quiz {
  /** @type {(boolean | null)[]} the first guess at each run, right or wrong; null where there is none */
  #score = [];
  #number = 0; // of the run that is shown
  #asked = false;
  #tally = h("span", { class: "lab-quiz-tally", role: "status" });
  #shelf = h("div", { class: "lab-quiz-shelf", role: "group", "aria-label": "runs with a fault" });
  #place = h("div");

  /** @param {Element} element */
  constructor(element) {
    this.root = part(element, ".lab-panel");
    this.message = part(element, ".lab-message");
    replace(actionsOf(element), this.#tally);
    replace(bodyOf(element), this.#shelf, this.#place);
    on(() => this.#begin());
    new ResizeObserver(() => this.#begin()).observe(this.root);
    this.#begin();
  }

  /** @param {string} state @param {string} [text] @param {Lab.Child} [extra] */
  #wear(state, text = "", extra = null) {
    this.root.dataset.state = state;
    replace(this.message, text || null, extra);
  }

  /** @param {() => Promise<void>} work */
  async #guarded(work) {
    try {
      await work();
      this.#wear("ready");
    } catch (error) {
      if (!(error instanceof Refused)) console.error(error);
      const again = h("button", { class: "lab-button", onclick: () => {
        this.#asked = false;
        this.#begin();
      } }, "Try again");
      this.#wear("error", "", h("span", {}, h("b", {}, messageOf(error)), " ", again));
    }
  }

  /** The first time the tab is seen: the first run that was not guessed yet. */
  #begin() {
    if (this.#asked || !this.root.offsetParent) return;
    this.#asked = true;
    this.#wear("loading", "fetching the runs…");
    this.#guarded(async () => {
      this.#score = (await get("api/sick")).guessed;
      if (!this.#score.length)
        throw new Refused("There are no recordings: python scripts/record_broken_runs.py makes them.");
      await this.#show(Math.max(0, this.#score.indexOf(null)) + 1);
    });
  }

  #tell() {
    const score = this.#score, done = score.filter((x) => x !== null).length;
    this.#tally.textContent = done
      ? `${score.filter((x) => x === true).length} of ${done} right the first time; ${score.length - done} left`
      : `${score.length} runs`;
    replace(this.#shelf, ...score.map((right, i) => {
      const [state, sign] = right === null ? ["not guessed yet", ""] : right ? ["guessed", " ✓"] : ["missed", " ✗"];
      return h("button", { class: "lab-button lab-quiz-case", "aria-pressed": String(i + 1 === this.#number),
        data: { right: String(right) }, title: `run ${i + 1}: ${state}`, "aria-label": `run ${i + 1}, ${state}`,
        onclick: () => this.#guarded(() => this.#show(i + 1)) }, `${i + 1}${sign}`);
    }));
  }

  /** @param {number} number */
  async #show(number) {
    /** @type {Lab.QuizQuestion} */
    const question = await get(`api/sick/${number}`);
    this.#number = number;
    this.root.dataset.number = String(number);
    this.#tell();
    const { charts, loss, grid } = draw(question), verdict = h("div", { class: "lab-quiz-verdict" });
    /** @type {HTMLButtonElement[]} */
    const answers = question.choices.map(({ id, cause }) =>
      h("button", { class: "lab-button lab-quiz-choice", data: { choice: id }, onclick: () =>
        this.#guarded(() => this.#guess(id, answers, verdict, charts)) }, cause)
    );
    replace(this.#place, h("div", { class: "lab-chips" }, ...factsOf(question)),
      h("div", { class: "lab-quiz-split" }, h("div", { class: "lab-quiz-main" }, loss),
        h("div", { class: "lab-quiz-ask" }, h("h3", {}, `What is wrong with run ${number}?`),
          h("div", { class: "lab-quiz-choices" }, ...answers), verdict)), grid);
  }

  /**
   * @param {string} choice
   * @param {HTMLButtonElement[]} answers
   * @param {HTMLElement} verdict
   * @param {Charts} charts
   */
  async #guess(choice, answers, verdict, charts) {
    const number = this.#number;
    /** @type {Lab.QuizSolution} */
    const solved = await post(`api/sick/${number}/guess`, { choice });
    this.#score = solved.score.guessed;
    this.#tell();
    for (const button of answers) {
      const { choice: named } = button.dataset;
      button.disabled = true;
      button.dataset.mark = named === solved.name ? "right" : named === choice ? "wrong" : "";
    }
    const next = h("button", { class: "lab-button lab-primary",
      onclick: () => this.#guarded(() => this.#show(number % this.#score.length + 1)) }, "Next run");
    replace(verdict, ...explained(solved, next));
    reveal(charts, solved);
    next.focus({ preventScroll: true });
  }
}

// ---------------------------------------------------------------- the run

/** @param {Lab.QuizQuestion} question */
function factsOf({ total_steps: steps, facts: { parameters, tokens_per_step: tokens, epochs, dropout, clip } }) {
  return [chip("steps", count(steps)), chip("parameters", short(parameters)), chip("tokens a step", short(tokens)),
    chip("epochs", fixed(epochs, 1)), chip("dropout", String(dropout ?? "n/a")), chip("clip", String(clip ?? "n/a"))];
}

/**
 * @param {string} name
 * @param {[steps: number[], values: number[]]} curve
 * @param {string} colour
 * @param {"line" | "dots"} [style]
 * @returns {Lab.Curve}
 */
const curve = (name, [steps, values], colour, style = "line") => ({ name, data: Series.from(steps, values), colour,
  style });

/** The losses large, everything else that was recorded small. @param {Lab.QuizQuestion} question */
function draw({ lines, curves }) {
  const group = chartGroup(), grid = h("div", { class: "lab-quiz-grid" }), loss = h("div");
  const { "train/loss": train, "val/loss": val } = curves, series = [];
  if (train) series.push(curve("train", train, "--lab-train"));
  if (val) series.push(curve("val", val, "--lab-val", "dots"));
  /** @type {Charts} */
  const charts = {
    loss: lineChart(loss, { label: "Loss", unit: "nats per token", height: 300, group, series,
      lines: Object.entries(lines).map(([label, value]) => ({ label, value, colour: "--lab-muted" })) }),
  };
  for (const [name, [label, unit]] of Object.entries(OTHERS)) {
    if (!curves[name]) continue;
    const cell = grid.appendChild(h("div", { class: "lab-quiz-cell" }));
    charts[name] = lineChart(cell, { label, unit, height: 120, group,
      series: [curve("this run", curves[name], "--lab-train")] });
  }
  return { charts, loss, grid };
}

// ---------------------------------------------------------------- the answer

/**
 * The findings on the curves, and the run without the fault beside them.
 * @param {Charts} charts
 * @param {Lab.QuizSolution} solved
 */
function reveal(charts, { twin, findings }) {
  /** @param {Lab.Chart} chart @param {string} metric @param {string} name @param {"line" | "dots"} [style] */
  const beside = (chart, metric, name, style) => {
    if (chart && twin[metric])
      chart.set({ series: [...chart.options.series, curve(name, twin[metric], "--lab-muted", style)] });
  };
  charts.loss.set({
    markers: findings.filter((f) => f.level !== "note").map((f) => ({ step: f.step, tokens: f.step, time: f.step,
      kind: "finding", title: `diagnosis, ${f.level}: ${f.rule}`, rows: [["step", count(f.step)]] })
    ),
  });
  beside(charts.loss, "train/loss", "twin, train");
  beside(charts.loss, "val/loss", "twin, val", "dots");
  for (const name of Object.keys(OTHERS)) beside(charts[name], name, "twin");
}

/**
 * Right or wrong, the finding, why it matters, what to try, how to see it oneself.
 * @param {Lab.QuizSolution} solved
 * @param {HTMLElement} next
 */
function explained(solved, next) {
  const own = solved.findings.find((f) => f.rule === solved.rule);
  const rest = solved.findings.filter((f) => f !== own && f.level !== "note");
  return [
    h("p", { class: "lab-quiz-answer", role: "status", data: { right: String(solved.right) } },
      h("b", {}, solved.right ? "Right: " : "No. It is this: "), `${solved.cause}.`),
    next,
    ...(own ? evidenceOf(own, solved) : []),
    h("p", {}, solved.why),
    list(solved.tries),
    rest.length
      ? h("details", {}, h("summary", {}, `Other findings (${rest.length})`),
        list(rest.map((f) => `${f.level} at step ${count(f.step)}: ${f.what}`)))
      : null,
    h("details", {}, h("summary", {}, "Make it yourself"), h("p", {}, solved.comment),
      h("code", { class: "lab-quiz-command" }, solved.command)),
  ];
}

/** @param {string[]} texts */
const list = (texts) => h("ul", { class: "lab-quiz-tries" }, ...texts.map((text) => h("li", {}, text)));

/** @param {Lab.Finding} finding @param {Lab.QuizSolution} solved */
function evidenceOf({ level, what, step, rule, metric, value, threshold }, { evidence }) {
  const audit = metric === null ? null : evidence[metric];
  const against = threshold === null ? "" : ` against ${brief(threshold)}`;
  const measured = audit ? `, measured at ${count(audit[0].length)} steps` : "";
  return [
    h("p", {}, h("span", { class: "lab-tag" }, level), `${what} `,
      h("small", {}, `(seen at step ${count(step)}; ${rule})`)),
    value === null
      ? null
      : h("p", {}, h("small", {}, `${metric ?? "the plan"}: ${brief(value)}${against}${measured}`)),
  ];
}
