// Starting a run: what to train, how long, on what, and how large that is before it begins.

import { get, messageOf, post } from "../lib/client.js";
import { bytes, copyButton, count, h, replace, short } from "../lib/dom.js";
import { duration } from "../lib/scale.js";
import { sentence } from "./describe.js";
import { StartFields } from "./start_fields.js";

const TYPING_MS = 350;

export class StartForm {
  /** @type {string[]} names of runs */
  #taken = [];
  #offered = false; // what can be started
  #asked = 0; // an answer to an earlier question no longer counts
  #busy = false;
  #timer = 0;
  #fields = new StartFields(() => this.#changed());
  #about = h("p", { class: "lab-note" });
  #size = h("p", { class: "lab-size", role: "status" });
  #cost = h("p", { class: "lab-size", id: "lab-cost", role: "status" });
  #problem = h("p", { class: "lab-problem-line", role: "alert" });
  #command = h("code", { class: "lab-command" });
  #start = h("button", { class: "lab-button lab-primary", id: "lab-start-run", type: "submit" }, "Start training");
  #rehearse = h("button", { class: "lab-button", id: "lab-try-run", type: "button",
    title: "makes a few real steps and throws them away: half a minute", onclick: () => this.#askForCost() },
    "What will it cost?");
  #close = h("button", { class: "lab-link", id: "lab-start-close", type: "button", onclick: () => this.open(false) },
    "close");
  #note = h("p", { class: "lab-help" });

  /** @param {(run: string) => void} began called with the name of a run whose process has been started */
  constructor(began) {
    this.began = began;
    const copy = copyButton("Copy", () => this.#command.textContent ?? "", "Select it", { type: "button" });
    const form = h("form", { class: "lab-form", novalidate: true, onsubmit: (event) => {
      event.preventDefault();
      this.#train();
    } }, h("div", { class: "lab-form-fields" }, ...this.#fields.roots), this.#about, this.#size, this.#cost,
      this.#problem,
      h("div", { class: "lab-form-end" }, this.#start, this.#rehearse,
        h("span", { class: "lab-note" }, "or in a terminal:"), this.#command, copy));
    const head = h("header", {}, h("div", { class: "lab-title" }, h("h2", {}, "Start a run")), this.#close, this.#note);
    this.root = h("section", { class: "lab-card lab-start", id: "lab-start", hidden: true,
      "aria-label": "start a run" }, head, form);
  }

  /** @param {Lab.Run[]} runs that there are */
  known(runs) {
    this.#taken = runs.map((run) => run.name);
    this.#close.hidden = !runs.length;
    this.#note.textContent = runs.length
      ? "A process of its own: it goes on when this page or its server is closed."
      : "There is no run in this folder yet. The first is ready in a few minutes; it goes on when this page is closed.";
  }

  /** @param {boolean} yes */
  async open(yes) {
    this.root.hidden = !yes;
    document.getElementById("lab-new-run")?.setAttribute("aria-expanded", String(yes));
    if (!yes || this.#offered) return;
    try {
      this.#fields.offer(await get("api/train/options"));
      this.#offered = true;
      this.#changed();
    } catch (error) {
      this.#fail(error);
    }
  }

  // ---------------------------------------------------------------- what is asked for

  #changed() {
    if (!this.#offered) return;
    const problems = this.#fields.problems(this.#taken), wrong = Object.keys(problems).length > 0;
    this.#asked += 1;
    this.#fields.mark(problems);
    this.#about.textContent = this.#fields.configuration?.about ?? "";
    this.#problem.textContent = this.#cost.textContent = "";
    this.#command.textContent = this.#fields.command();
    this.#allow();
    window.clearTimeout(this.#timer);
    if (wrong) this.#size.textContent = "";
    else this.#timer = window.setTimeout(() => this.#measure(), TYPING_MS);
  }

  /** What is asked of the server. */
  #wanted() {
    return { config: this.#fields.all.config.input.value, overrides: this.#fields.overrides() };
  }

  async #measure() {
    await this.#answer("api/train/plan", (plan) => replace(this.#size, ...described(plan)));
  }

  /** Minutes, memory and the final loss, from a few real steps on this machine and from finished runs. */
  async #askForCost() {
    this.#cost.textContent = "";
    await this.#while(this.#rehearse, "Trying a few steps…",
      () => this.#answer("api/train/rehearse", (answer) => replace(this.#cost, ...costs(answer))));
  }

  /** Unless something else was asked for in the meantime. @param {string} path @param {(answer: any) => void} show */
  async #answer(path, show) {
    const mine = this.#asked;
    try {
      const answer = await post(path, this.#wanted());
      if (mine === this.#asked) show(answer);
    } catch (error) {
      if (mine === this.#asked) this.#fail(error);
    }
  }

  // ---------------------------------------------------------------- starting

  async #train() {
    if (!this.#offered || this.#start.disabled) return;
    this.#problem.textContent = "";
    this.#start.title = "fit --check judges them, in some seconds";
    const { input: name } = this.#fields.all.run;
    await this.#while(this.#start, "Checking the settings…", async () => {
      try {
        const { run } = await post("api/train/start", { ...this.#wanted(), run: name.value || null });
        name.value = "";
        this.open(false);
        this.began(run);
      } catch (error) {
        this.#fail(error);
      }
    });
    this.#start.title = "";
  }

  /**
   * One thing at a time; the button says what it does.
   * @param {HTMLButtonElement} button
   * @param {string} words
   * @param {() => Promise<void>} act
   */
  async #while(button, words, act) {
    const label = button.textContent;
    this.#busy = true;
    button.textContent = words;
    this.#allow();
    await act();
    this.#busy = false;
    button.textContent = label;
    this.#allow();
  }

  #allow() {
    const no = this.#busy || Object.keys(this.#fields.problems(this.#taken)).length > 0;
    this.#start.disabled = this.#rehearse.disabled = no;
  }

  /** Each complaint at the field that it is about, the others beneath. @param {unknown} error */
  #fail(error) {
    /** @type {Record<string, string>} */
    const marked = {};
    const rest = messageOf(error).split("; ").filter((complaint) => {
      const field = this.#fields.about(complaint);
      if (field) marked[field] = sentence(complaint);
      return !field;
    });
    this.#fields.mark(marked);
    this.#problem.textContent = rest.map(sentence).join(" ");
    this.#size.textContent = "";
  }
}

/** How large the run is. @param {Lab.Plan} plan */
function described(plan) {
  const { vocab_size: vocabulary, horizon: { minutes }, tokens, flops, disk } = plan;
  const parts = [`${count(plan.n_layers)} layers, ${count(plan.n_heads)} heads, ${count(plan.d_model)} wide`,
    `reads ${count(plan.context_length)} tokens`, `learns from ${count(plan.tokens_per_step)} tokens a step`,
    tokens ? `${short(tokens)} tokens in all` : minutes ? `${minutes} minutes` : "",
    flops ? `${short(flops)} floating-point operations` : "", `a step holds ${bytes(plan.memory.peak)}`,
    `${bytes(Object.values(disk).reduce((a, b) => a + b, 0))} of files`];
  const about = vocabulary ? "" : " (the text tells how many characters there are: about a hundred are counted)";
  return [h("b", {}, `${short(plan.parameters.total)} parameters`),
    h("span", {}, `${about} · ${parts.filter(Boolean).join(" · ")}`)];
}

/**
 * What it will cost; `unsaid`: why something is not known.
 * @param {{ forecasts: Lab.Forecasts, unsaid: Record<string, string> }} answer
 */
function costs({ forecasts: { minutes, peak_memory_bytes: memory, final_val_loss: loss }, unsaid }) {
  const [likely, low, high] = [minutes.value, minutes.low, minutes.high].map((value) => duration(60 * value));
  const ends = loss
    ? ["ends at a validation loss of ", h("b", {}, loss.value.toFixed(2)),
      ` (${loss.low.toFixed(2)} to ${loss.high.toFixed(2)}), by ${loss.method}`]
    : [`its final loss: ${Object.values(unsaid).join("; ")}`];
  return [h("b", {}, likely), ` (${low} to ${high}) · `, h("b", {}, bytes(memory.value)), " of memory · ", ...ends];
}
