// What the model writes while it learns: the same prompt step after step, the newest first, a slider over the steps.

import { choice, clip, count, h, replace } from "../lib/dom.js";
import { clock } from "./describe.js";

const BEFORE = 3; // earlier samples shown beneath

export class Samples {
  /** @type {Lab.Sample[]} */
  #all = [];
  /** @type {string | null} whose samples are shown */
  #prompt = null;
  /** @type {Lab.Sample[]} those of the prompt, by step */
  #shown = [];
  #at = -1;
  #drawn = "";
  #prompts = h("div", { class: "lab-sample-prompts" });
  #slider = h("input", { type: "range", id: "lab-sample-step", min: 0, "aria-label": "step of the sample",
    oninput: () => void this.#pick(Number(this.#slider.value)) });
  #bar = h("div", { class: "lab-slider" },
    h("button", { class: "lab-button", "aria-label": "earlier sample", onclick: () => this.#pick(this.#at - 1) }, "‹"),
    this.#slider,
    h("button", { class: "lab-button", "aria-label": "later sample", onclick: () => this.#pick(this.#at + 1) }, "›"));
  #place = h("div", { class: "lab-samples" });
  #text = h("input", { type: "text", id: "lab-sample-prompt", maxlength: 2000, placeholder: "a prompt of your own",
    "aria-label": "prompt of the sample", onkeydown: ({ key }) => void (key === "Enter" && this.#button.click()) });
  #button = h("button", { class: "lab-button", id: "lab-sample-now", onclick: () => void this.ask(this.#text.value) },
    "Sample now");
  root = h("div", {}, h("div", { class: "lab-sample-ask" }, this.#text, this.#button), this.#prompts, this.#bar,
    this.#place);

  /** @param {(prompt: string) => void} ask lets the trainer write a sample now */
  constructor(ask) {
    this.ask = ask;
  }

  /** @param {Lab.Sample[]} samples */
  show(samples) {
    const key = () => `${samples.length} ${samples[0]?.wall} ${this.#prompt}`;
    if (key() === this.#drawn) return; // only what is new is drawn anew: what is there may be read
    const followed = this.#at === this.#shown.length - 1;
    this.#all = samples;
    const good = samples.filter((s) => Number.isInteger(s.step) && typeof s.text === "string");
    this.#offer([...new Set(good.map(promptOf))]);
    // A run that went back wrote the sample of a step twice: the later counts.
    const steps = new Map(good.filter((s) => promptOf(s) === this.#prompt).map((s) => [s.step, s]));
    this.#shown = [...steps.values()].sort((a, b) => a.step - b.step);
    const last = this.#shown.length - 1;
    this.#slider.max = String(Math.max(0, last));
    this.#bar.hidden = last < 1;
    this.#pick(followed || this.#at < 0 ? last : this.#at);
    this.#drawn = key();
  }

  /** @param {string[]} prompts */
  #offer(prompts) {
    if (this.#prompt === null || !prompts.includes(this.#prompt))
      this.#prompt = (prompts.length > 1 && prompts[0] === "" ? prompts[1] : prompts[0]) ?? null;
    if (this.#prompt === null || prompts.length < 2) return replace(this.#prompts);
    /** @param {string} text @returns {[string, string]} */
    const named = (text) => [text, text ? clip(text, 48).replaceAll("\n", "⏎") : "(none: the start of a document)"];
    replace(this.#prompts, choice("Prompt", prompts.map(named), this.#prompt, (prompt) => this.#change(prompt)));
  }

  /** @param {string} prompt */
  #change(prompt) {
    [this.#prompt, this.#at, this.#shown] = [prompt, -1, []];
    this.show(this.#all);
  }

  /** @param {number} to */
  #pick(to) {
    const shown = this.#shown, at = this.#at = Math.min(shown.length - 1, Math.max(shown.length ? 0 : -1, to));
    this.#slider.value = String(at);
    if (at < 0) {
      const none = "No sample yet. The first is written at step 0; or ask for one.";
      return replace(this.#place, h("p", { class: "lab-note" }, none));
    }
    this.#slider.setAttribute("aria-valuetext", `step ${shown[at].step}`);
    replace(this.#place, ...shown.slice(Math.max(0, at - BEFORE), at + 1).reverse().map(article));
  }

  /** Show the sample of a step, whatever its prompt. @param {number} step */
  jump(step) {
    const there = this.#all.filter((sample) => sample.step === step);
    if (!there.length) return;
    if (!there.some((sample) => promptOf(sample) === this.#prompt)) this.#change(promptOf(there[0]));
    this.#pick(this.#shown.findIndex((sample) => sample.step === step));
    this.root.scrollIntoView({ block: "nearest" });
  }

  /** @param {boolean} allowed @param {string} reason why not */
  can(allowed, reason) {
    this.#button.disabled = !allowed;
    this.#button.title = allowed ? "let the trainer write after this step" : reason;
  }
}

/** @param {Lab.Sample} sample */
const promptOf = ({ prompt }) => prompt ?? "";

/** @param {Lab.Sample} sample @param {number} i the newest is 0 */
function article(sample, i) {
  const { step, wall, text, longest_copy: copy } = sample;
  const copied = copy && copy.tokens > 8
    ? `${count(copy.tokens)} tokens in a row also stand in the training text`
    : null;
  return h("article", { class: i ? "lab-sample lab-sample-old" : "lab-sample", data: { step } },
    h("h3", {}, `step ${count(step)}`, h("small", {}, clock(wall))),
    h("div", { class: "lab-sample-text", tabindex: 0, role: "group", "aria-label": "what it wrote" },
      h("span", { class: "lab-prompt" }, promptOf(sample)), h("span", {}, text)),
    copied && h("small", { title: copy?.text }, copied));
}
