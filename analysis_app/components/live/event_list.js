// What happened: findings with why and what to try, and the list of all events, the newest first.

import { count, h, replace } from "../lib/dom.js";
import { brief } from "../lib/scale.js";
import { clock, happened, sentence } from "./describe.js";

const FIRST = 40, MORE = 200; // events shown
/** @type {Record<string, string>} */
const TONES = { note: "quiet", warning: "amber", alarm: "bad" };

export class EventList {
  /** @type {Lab.RunEvent[]} */
  #events = [];
  #most = FIRST;
  #drawn = "";
  #findings = h("div", { class: "lab-findings" });
  #list = h("ol", { class: "lab-events", reversed: true, tabindex: 0, "aria-label": "events, the newest first" });
  #more = h("button", { class: "lab-link", hidden: true, onclick: () => {
    this.#most += MORE;
    this.#draw();
  } }, "earlier ones");
  root = h("div", {}, this.#findings, this.#list, this.#more);

  /** @param {(event: Lab.RunEvent) => void} look shows the place of a finding in the charts */
  constructor(look) {
    this.look = look;
  }

  /** @param {Lab.RunEvent[]} events */
  show(events) {
    if (events !== this.#events) this.#most = FIRST;
    this.#events = events;
    this.#draw();
  }

  #draw() {
    const events = this.#events, most = this.#most, key = `${events.length} ${most} ${events[0]?.wall}`;
    if (key === this.#drawn) return; // what was opened stays open: only another list is drawn anew
    this.#drawn = key;
    this.#drawFindings(events);
    // What was done as asked is told by an event of its own.
    const rest = events.filter(({ kind }) => kind !== "finding" && kind !== "command_answered");
    replace(this.#list, ...rest.slice(-most).reverse().map(listed));
    this.#more.hidden = rest.length <= most;
  }

  /** @param {Lab.RunEvent[]} events */
  #drawFindings(events) {
    const found = newest(events.filter(({ kind }) => kind === "finding"));
    const open = new Set(
      [...this.#findings.querySelectorAll("details")].filter((node) => node.open).map((node) => node.dataset.key),
    );
    const none = events.length ? "No finding: nothing looks wrong so far." : "Nothing has happened yet.";
    replace(this.#findings, ...found.map(([event, times]) => this.#finding(event, times, open.has(String(event.rule)))),
      found.length ? null : h("p", { class: "lab-note lab-well" }, none));
  }

  /** @param {Lab.RunEvent} event @param {number} times how often it was said @param {boolean} open */
  #finding(event, times, open) {
    const { rule, level = "", step, metric, value, threshold, why, source } = event;
    const limit = typeof threshold === "number" ? `, threshold ${brief(threshold)}` : "";
    const values = typeof value === "number" ? `${metric ?? "value"} ${brief(value)}${limit} · ` : "";
    const when = `${Number.isInteger(step) ? `step ${count(step)}` : ""}${times > 1 ? ` · ${times} times` : ""}`;
    const tries = [event.try || []].flat().map((text) => h("li", {}, sentence(text)));
    return h("details", { class: "lab-finding", open, data: { key: rule, tone: TONES[level] ?? "amber" } },
      h("summary", {}, h("b", {}, sentence(event.what)), h("small", {}, when)), why ? h("p", {}, sentence(why)) : null,
      tries.length ? h("div", {}, h("small", {}, "What to try"), h("ul", {}, ...tries)) : null,
      h("p", { class: "lab-note" }, values,
        h("button", { class: "lab-link", onclick: () => this.look(event) }, "show it in the curves"),
        source ? ` · ${source}` : ""));
  }
}

/** @param {Lab.RunEvent} event */
const listed = (event) =>
  h("li", { data: { kind: event.kind } }, h("time", {}, clock(event.wall)),
    h("span", { class: "lab-event-step" }, Number.isInteger(event.step) ? count(event.step) : ""),
    h("span", {}, happened(event)));

/**
 * Of findings by one rule the newest stands for all, with how often it was said; the newest first.
 * @param {Lab.RunEvent[]} found
 */
function newest(found) {
  /** @type {Map<string | undefined, [event: Lab.RunEvent, times: number]>} */
  const rules = new Map();
  for (const event of found) {
    const times = (rules.get(event.rule)?.[1] ?? 0) + 1;
    rules.delete(event.rule);
    rules.set(event.rule, [event, times]);
  }
  return [...rules.values()].reverse();
}
