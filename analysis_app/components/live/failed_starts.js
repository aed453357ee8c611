// Starts that came to nothing: each stays with its reason, also after a reload, until it is dismissed.

import { messageOf, post } from "../lib/client.js";
import { h, replace } from "../lib/dom.js";
import { sentence, when } from "./describe.js";

export class FailedStarts {
  root = h("div", { class: "lab-failed-starts" });
  #shown = "";

  /** @param {Lab.FailedStart[]} starts */
  show(starts) {
    const key = JSON.stringify(starts);
    if (key === this.#shown) return;
    this.#shown = key;
    replace(this.root, ...starts.map(card));
  }
}

/** @param {Lab.FailedStart} start */
function card({ run, wall, reason, log }) {
  const said = h("span", { role: "status" });
  const button = h("button", { class: "lab-button", onclick: async () => {
    button.disabled = true;
    try {
      await post("api/train/dismiss", { run });
      node.remove();
    } catch (error) {
      button.disabled = false;
      said.textContent = messageOf(error);
    }
  } }, "Dismiss");
  const node = h("div", { class: "lab-trouble", role: "alert", data: { tone: "bad", start: run } },
    h("b", {}, `${run} could not start`), ` (${when(wall)}). ${sentence(reason)}`,
    h("details", { class: "lab-log" }, h("summary", {}, "what its process wrote last"), h("pre", {}, log.join("\n"))),
    h("div", { class: "lab-trouble-row" }, button, said));
  return node;
}
