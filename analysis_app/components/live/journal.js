// What happened: findings of the doctor with why and what to try, and the list of all events, the newest first.

import { count, h, replace } from "../lib/dom.js";
import { brief } from "../lib/scale.js";
import { clock, happened, sentence } from "./words.js";

const SHOWN = 40;
const TONES = { note: "quiet", warning: "amber", alarm: "bad" };

// `look(event)`: show the place of a finding in the charts.
export function journal(look) {
  const findings = h("div", { class: "lab-findings" }),
    list = h("ol", { class: "lab-events", reversed: true, tabindex: 0, "aria-label": "events, the newest first" }),
    more = h("button", { class: "lab-link", hidden: true, onclick: () => {
      most += 200;
      fill();
    } }, "earlier ones");
  const root = h("div", {}, findings, list, more);
  let all = [], most = SHOWN, drawn = "";
  return { root, show };

  function show(events) {
    if (events !== all) most = SHOWN;
    all = events;
    fill();
  }

  function fill() {
    const found = all.filter((e) => e.kind === "finding");
    // What somebody has opened stays open: only another list is drawn anew.
    const key = `${all.length} ${most} ${all[0]?.wall}`;
    if (key === drawn) return;
    drawn = key;
    const open = new Set([...findings.querySelectorAll("details[open]")].map((node) => node.dataset.key));
    replace(findings, ...(found.length
      ? latest(found).map((event) => finding(event, open))
      : [
        h("p", { class: "lab-note lab-well" },
          all.length ? "No finding: nothing looks wrong so far." : "Nothing has happened yet."),
      ]));
    // What was done as asked is told by an event of its own.
    const rest = all.filter((e) => e.kind !== "finding" && e.kind !== "command_answered");
    replace(list,
      ...rest.slice(-most).reverse().map((event) =>
        h("li", { data: { kind: event.kind } }, h("time", {}, clock(event.wall)),
          h("span", { class: "lab-event-step" }, Number.isInteger(event.step) ? count(event.step) : ""),
          h("span", {}, happened(event)))
      ));
    more.hidden = rest.length <= most;
  }

  // Of findings by one rule the newest stands for all, with how often it was said.
  function latest(found) {
    const rules = new Map();
    for (const event of found) {
      const times = (rules.get(event.rule)?.times ?? 0) + 1;
      rules.delete(event.rule);
      rules.set(event.rule, { ...event, times });
    }
    return [...rules.values()].reverse();
  }

  function finding(event, open) {
    const key = String(event.rule),
      values = typeof event.value === "number"
        ? `${event.metric ?? "value"} ${brief(event.value)}${
          typeof event.threshold === "number" ? `, threshold ${brief(event.threshold)}` : ""
        }`
        : "";
    const tries = Array.isArray(event.try) ? event.try : event.try ? [event.try] : [];
    return h("details", { class: "lab-finding", open: open.has(key),
      data: { key, tone: TONES[event.level] ?? "amber" } },
      h("summary", {}, h("b", {}, sentence(event.what)),
        h("small", {},
          `${Number.isInteger(event.step) ? `step ${count(event.step)}` : ""}${
            event.times > 1 ? ` · ${event.times} times` : ""
          }`)), event.why ? h("p", {}, sentence(event.why)) : null, tries.length
      ? h("div", {}, h("small", {}, "What to try"), h("ul", {}, ...tries.map((text) => h("li", {}, sentence(text)))))
      : null,
      h("p", { class: "lab-note" }, values, values ? " · " : "",
        h("button", { class: "lab-link", onclick: () => look(event) }, "show it in the curves"),
        event.source ? ` · ${event.source}` : ""));
  }
}
