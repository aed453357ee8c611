// Steering a run: each button asks the trainer, and says when the trainer has done it or why it has not.

import { post } from "../lib/client.js";
import { h } from "../lib/dom.js";
import { answerOf, ASKING, sentence } from "./words.js";

const LONG = 15_000; // milliseconds after which it is said that no answer has come yet

// `run()`: its name; `changed()`: what is pending is another.
export function steering(run, changed) {
  const pending = new Map(); // id of the command → { command, since }
  const said = h("p", { class: "lab-said", role: "status", data: { phase: "" } });
  const buttons = {
    pause: button("pause", "Pause", "stand still after this step; the clock stops too"),
    resume: button("resume", "Go on", "train on from this step"),
    stop: button("stop", "Stop & save", "finish the step, save a checkpoint, end the process"),
    checkpoint: button("checkpoint", "Checkpoint now", "save all that is needed to go on from this step"),
  };
  const factor = h("input", { type: "number", id: "lab-lr-factor", step: "any", min: 0, max: 100, value: 1,
    "aria-label": "factor on the learning rate", onkeydown: (e) => e.key === "Enter" && rate() });
  const set = h("button", { class: "lab-button", data: { command: "lr" },
    title: "multiply the schedule by this from the next step on", onclick: rate }, "Set");
  const rates = h("span", { class: "lab-rate" }, h("label", { for: "lab-lr-factor" }, "Learning rate ×"), factor, set);
  const why = h("p", { class: "lab-note lab-why" });
  const root = h("div", { class: "lab-steering" },
    h("div", { class: "lab-steering-row" }, ...Object.values(buttons), rates), why, said);
  const busy = new Set();
  let control = { available: false, commands: [], reason: null }, known = null, stopping = false, again = false;
  return { root, show, ask, answered, forget, asked: (command) =>
    (command === "stop" && stopping) || busy.has(command)
    || [...pending.values()].some((p) => p.command === command) };

  function button(command, text, title) {
    return h("button", { class: "lab-button", title, data: { command, title }, onclick: () => ask(command) }, text);
  }

  function rate() {
    const value = factor.valueAsNumber;
    if (!(value >= 0 && value <= 100)) return tell("refused", "A factor from 0 to 100, such as 0.5.");
    ask("lr", { value });
  }

  async function ask(command, args = {}) {
    busy.add(command);
    tell("asked", ASKING[command]);
    refresh();
    const name = run();
    try {
      const answer = await post(`api/train/${command}`, { run: name, ...args });
      if (name !== run()) return null;
      if (answer.id) wait(answer.id, command);
      else {
        again = true;
        tell("asked", "Started again; it goes on from its last checkpoint as soon as it has read it.");
      }
      return answer;
    } catch (error) {
      if (name === run()) tell("refused", `Refused: ${sentence(error.message)}`);
      return null;
    } finally {
      busy.delete(command);
      refresh();
      changed();
    }
  }

  function wait(id, command) {
    if (early.has(id)) return answered([early.get(id)]);
    pending.set(id, { command });
    window.setTimeout(
      () =>
        pending.has(id)
        && tell("asked",
          `${
            ASKING[command]
          } No answer yet: the trainer looks between two steps, and a long validation or a checkpoint comes first.`),
      LONG,
    );
  }

  // Events, some of which may be answers; an answer can be faster than the server's reply to the question.
  function answered(events) {
    for (const event of events) {
      if (!["command_answered", "command_refused"].includes(event.kind) || !event.id) continue;
      early.set(event.id, event);
      if (early.size > 50) early.delete(early.keys().next().value);
      if (!pending.delete(event.id)) continue;
      stopping ||= event.command === "stop" && event.kind === "command_answered";
      tell(event.kind === "command_refused" ? "refused" : "done", answerOf(event));
    }
    refresh();
  }

  function tell(phase, text) {
    said.dataset.phase = phase;
    said.textContent = text;
  }

  function forget() {
    pending.clear();
    early.clear();
    [known, stopping, again] = [null, false, false];
    tell("", "");
  }

  // `explained`: why nobody can be steered stands there already.
  function show(status, explained) {
    control = status.control ?? control;
    stopping &&= status.active;
    if (again && status.state === "running") {
      again = false;
      tell("done", "It trains again.");
    }
    if (status.lr_scale !== known && document.activeElement !== factor) factor.value = status.lr_scale ?? 1;
    known = status.lr_scale;
    refresh();
    why.textContent = control.available || explained ? "" : `Nobody to steer: ${control.reason}.`;
  }

  function refresh() {
    const waiting = new Set([...busy, ...[...pending.values()].map((p) => p.command)]);
    for (const [command, node] of [...Object.entries(buttons), ["lr", set]]) {
      const can = control.commands.includes(command), stopping = waiting.has("stop") && command !== "stop";
      node.disabled = !can || waiting.has(command) || stopping;
      node.title = can ? (stopping ? "it is stopping" : node.dataset.title ?? node.title) : reasonFor(command);
    }
    factor.disabled = set.disabled;
    buttons.pause.hidden = control.commands.includes("resume");
    buttons.resume.hidden = !buttons.pause.hidden;
  }

  function reasonFor(command) {
    if (!control.available) return control.reason ?? "nobody trains this run";
    return command === "resume" ? "it is not paused" : "it is paused";
  }
}

const early = new Map(); // answers that came before anybody waited for them
