// The head of the Live tab: the run's state, how far it is, what stopped it, and what it can be told.

import { copyButton, h, replace } from "../lib/dom.js";
import { progressOf, stateOf, timesOf, troubleOf } from "./describe.js";

export class RunHead {
  #pill = h("span", { class: "lab-state" });
  #name = h("h2", {});
  #done = h("i");
  #bar = h("div", { class: "lab-progress", role: "progressbar", "aria-label": "progress of the run", "aria-valuemin": 0,
    "aria-valuemax": 100 }, this.#done);
  #progress = h("span", { class: "lab-how-far" });
  #elapsed = h("span", { class: "lab-elapsed" });
  #left = h("span", { class: "lab-left" });
  #title = h("b");
  #text = h("span");
  #trouble = h("div", { class: "lab-trouble", hidden: true, role: "alert" });
  /** @type {HTMLButtonElement | null} */
  #resume = null;
  #explained = ""; // what stands there of it

  /** @param {import("./controls.js").Controls} controls @param {HTMLElement[]} beside what stands beside the name */
  constructor(controls, ...beside) {
    this.controls = controls;
    this.root = h("section", { class: "lab-card lab-live-head" },
      h("div", { class: "lab-live-title" }, this.#pill, this.#name, ...beside), this.#bar,
      h("div", { class: "lab-live-times" }, this.#progress, this.#elapsed, this.#left), this.#trouble, controls.root);
  }

  /** @param {string} run @param {Lab.Status} status @param {number | null} lostAt since when its loss is no number */
  show(run, status, lostAt) {
    const { word, tone } = stateOf(status, { stopping: this.controls.asked("stop"), lost: lostAt !== null });
    const { share, text } = progressOf(status), [took, takes] = timesOf(status), trouble = troubleOf(status, lostAt);
    const active = Boolean(status.active);
    this.#pill.textContent = word;
    this.root.dataset.tone = tone;
    Object.assign(this.#pill.dataset, { tone, active });
    this.#name.textContent = run;
    this.#done.style.width = `${100 * (share ?? 0)}%`;
    this.#bar.classList.toggle("lab-unknown", share === null && active);
    if (share === null) this.#bar.removeAttribute("aria-valuenow");
    else this.#bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    [this.#progress.textContent, this.#elapsed.textContent, this.#left.textContent] = [text, took, takes];
    this.controls.show(status, trouble !== null);
    this.#trouble.hidden = !trouble;
    if (trouble) this.#explain(trouble);
    else this.#explained = "";
  }

  /** @param {Lab.Trouble} trouble */
  #explain({ tone, title, text, resume, log = [] }) {
    const key = JSON.stringify([resume, log]);
    if (this.#explained !== key) this.#build(resume, log);
    this.#explained = key;
    this.#trouble.dataset.tone = tone;
    [this.#title.textContent, this.#text.textContent] = [title, text];
    if (this.#resume) this.#resume.disabled = this.controls.asked("resume");
  }

  /** @param {string | null} command that goes on from the last checkpoint @param {string[]} log */
  #build(command, log) {
    const ask = () => this.controls.ask("resume");
    this.#resume = command === null
      ? null
      : h("button", { class: "lab-button lab-primary", id: "lab-resume-run", onclick: ask }, "Resume this run");
    const again = command === null
      ? []
      : [h("code", { class: "lab-command" }, command), copyButton("Copy", () => command, "Select and copy it by hand"),
        this.#resume];
    const lines = h("details", { class: "lab-log" }, h("summary", {}, "what its process wrote last"),
      h("pre", {}, log.join("\n")));
    replace(this.#trouble, this.#title, " ", this.#text,
      h("div", { class: "lab-trouble-row", hidden: command === null }, ...again), log.length ? lines : null);
  }
}
