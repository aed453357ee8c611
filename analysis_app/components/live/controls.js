// Steering a run: each button asks the trainer, and says when the trainer has done it or why it has not.

import { messageOf, post } from "../lib/client.js";
import { h } from "../lib/dom.js";
import { answerOf, asking, sentence } from "./describe.js";

const LONG = 15_000; // milliseconds after which it is said that no answer has come yet
const KEPT = 50; // answers, in case that the question is told of later

export class Controls {
  /** @type {Lab.Control} */
  #control = { available: false, commands: [], reason: null };
  /** @type {Map<string, string>} commands that wait for the trainer, by id */
  #pending = new Map();
  /** @type {Set<string>} commands that wait for the server */
  #busy = new Set();
  /** @type {Map<string, Lab.RunEvent>} answers by id: one can be faster than the server's reply to the question */
  #answers = new Map();
  /** @type {number | null} the factor that the run has */
  #factor = null;
  #stopping = false;
  #restarted = false;
  #said = h("p", { class: "lab-said", role: "status", data: { phase: "" } });
  #why = h("p", { class: "lab-note lab-why" });
  #input = h("input", { type: "number", id: "lab-lr-factor", step: "any", min: 0, max: 100, value: 1,
    "aria-label": "factor on the learning rate", onkeydown: (event) => event.key === "Enter" && this.#setRate() });
  #buttons = {
    pause: this.#button("pause", "Pause", "stand still after this step; the clock stops too"),
    resume: this.#button("resume", "Go on", "train on from this step"),
    stop: this.#button("stop", "Stop & save", "finish the step, save a checkpoint, end the process"),
    checkpoint: this.#button("checkpoint", "Checkpoint now", "save all that is needed to go on from this step"),
    lr: this.#button("lr", "Set", "multiply the schedule by this from the next step on", () => this.#setRate()),
  };

  /** @param {() => string | null} run its name @param {() => void} changed what waits for an answer is another */
  constructor(run, changed) {
    this.run = run;
    this.changed = changed;
    const { lr, ...others } = this.#buttons;
    const rate = h("span", { class: "lab-rate" }, h("label", { for: "lab-lr-factor" }, "Learning rate ×"), this.#input,
      lr);
    this.root = h("div", { class: "lab-steering" },
      h("div", { class: "lab-steering-row" }, ...Object.values(others), rate), this.#why, this.#said);
  }

  /** @param {string} command @param {string} text @param {string} title @param {() => unknown} [act] */
  #button(command, text, title, act = () => this.ask(command)) {
    return h("button", { class: "lab-button", title, data: { command, title }, onclick: act }, text);
  }

  #setRate() {
    const value = this.#input.valueAsNumber;
    if (!(value >= 0 && value <= 100)) return this.#say("refused", "A factor from 0 to 100, such as 0.5.");
    this.ask("lr", { value });
  }

  // ---------------------------------------------------------------- questions and answers

  /** @param {string} command @param {object} [args] */
  async ask(command, args = {}) {
    const run = this.run();
    this.#busy.add(command);
    this.#say("asked", asking(command));
    this.#refresh();
    try {
      const { id } = await post(`api/train/${command}`, { run, ...args });
      if (run !== this.run()) return;
      if (id) return this.#wait(id, command);
      this.#restarted = true;
      this.#say("asked", "Started again; it goes on from its last checkpoint as soon as it has read it.");
    } catch (error) {
      if (run === this.run()) this.#say("refused", `Refused: ${sentence(messageOf(error))}`);
    } finally {
      this.#busy.delete(command);
      this.#refresh();
      this.changed();
    }
  }

  /** Whether it waits for an answer, or for its end. @param {string} command */
  asked(command) {
    return (command === "stop" && this.#stopping) || this.#waiting.has(command);
  }

  get #waiting() {
    return new Set([...this.#busy, ...this.#pending.values()]);
  }

  /** @param {string} id @param {string} command */
  #wait(id, command) {
    const answer = this.#answers.get(id);
    this.#pending.set(id, command);
    if (answer) return this.answered([answer]);
    const late =
      "No answer yet: the trainer looks between two steps, and a long validation or a checkpoint comes first.";
    window.setTimeout(() => this.#pending.has(id) && this.#say("asked", `${asking(command)} ${late}`), LONG);
  }

  /** Events, some of which may be answers. @param {Lab.RunEvent[]} events */
  answered(events) {
    for (const event of events) {
      const refused = event.kind === "command_refused";
      if (!event.id || !(refused || event.kind === "command_answered")) continue;
      this.#answers.set(event.id, event);
      const [oldest] = this.#answers.keys();
      if (this.#answers.size > KEPT) this.#answers.delete(oldest);
      if (!this.#pending.delete(event.id)) continue;
      this.#stopping ||= event.command === "stop" && !refused;
      this.#say(refused ? "refused" : "done", answerOf(event));
    }
    this.#refresh();
  }

  // ---------------------------------------------------------------- what stands there

  /** @param {"" | "asked" | "done" | "refused"} phase @param {string} text */
  #say(phase, text) {
    this.#said.dataset.phase = phase;
    this.#said.textContent = text;
  }

  /** Another run. */
  forget() {
    this.#pending.clear();
    this.#answers.clear();
    [this.#factor, this.#stopping, this.#restarted] = [null, false, false];
    this.#say("", "");
  }

  /** @param {Lab.Status} status @param {boolean} explained whether it stands there already why nothing can be asked */
  show(status, explained) {
    this.#control = status.control ?? this.#control;
    this.#stopping &&= status.active;
    if (this.#restarted && status.state === "running") {
      this.#restarted = false;
      this.#say("done", "It trains again.");
    }
    if (status.lr_scale !== this.#factor && document.activeElement !== this.#input)
      this.#input.value = String(status.lr_scale ?? 1);
    this.#factor = status.lr_scale;
    this.#refresh();
    const { available, reason } = this.#control;
    this.#why.textContent = available || explained ? "" : `No commands: ${reason}.`;
  }

  #refresh() {
    const { commands } = this.#control, waiting = this.#waiting, buttons = this.#buttons;
    for (const [command, button] of Object.entries(buttons)) {
      const can = commands.includes(command), stopping = waiting.has("stop") && command !== "stop";
      button.disabled = !can || waiting.has(command) || stopping;
      button.title = !can ? this.#reason(command) : stopping ? "it is stopping" : button.dataset.title ?? "";
    }
    this.#input.disabled = buttons.lr.disabled;
    buttons.pause.hidden = commands.includes("resume");
    buttons.resume.hidden = !buttons.pause.hidden;
  }

  /** Why a command cannot be given. @param {string} command */
  #reason(command) {
    const { available, reason } = this.#control;
    if (!available) return reason ?? "this run is not training";
    return command === "resume" ? "it is not paused" : "it is paused";
  }
}
