// What sets the chosen runs apart: every setting that is not the same in all of them.

import { request, swatchOf } from "./lib/chosen_runs.js";
import { clip, count, fixed, h, replace, short } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { state } from "./lib/store.js";

const LONGEST = 60;

/** @param {Element} element */
export function mount(element) {
  /** @type {Lab.OverlayView | null} */
  let shown = null;
  const found = panel(element, { anyModel: true, request, show, update: (changed) => {
    if (changed.has("runs") && shown) show(shown);
  } });

  /** @param {Lab.OverlayView} overlay */
  function show(overlay) {
    const { runs, differences } = shown = overlay;
    const head = h("tr", {}, h("th", { scope: "col" }, ""),
      ...runs.map(({ name }) => h("th", { scope: "col" }, swatchOf(name), name)));
    const rows = differences.map((row) => settingRow(row, runs));
    const note = runs.length < 2
      ? "Choose a second run to see what sets them apart."
      : rows.length
      ? `${rows.length} settings differ; all others are the same.`
      : "Not one setting differs: the same run twice, but for chance and machine.";
    replace(found.body, h("p", { class: "lab-note" }, note),
      h("div", { class: "lab-scroll lab-tall", tabindex: 0, role: "region", "aria-label": "differences" },
        h("table", { class: "lab-table lab-differences" }, h("thead", {}, head),
          h("tbody", {}, ...factRows(runs), ...rows))));
    found.root.dataset.differences = String(differences.length);
  }
}

/** @param {Lab.RunLine[]} runs */
function factRows(runs) {
  /** @param {string} text @param {(run: Lab.RunLine) => string} of */
  const fact = (text, of) =>
    h("tr", { class: "lab-fact" }, h("th", { scope: "row" }, text), ...runs.map((run) =>
      h("td", {}, of({ ...run, ...state.info?.runs.find(({ name }) => name === run.name) }))
    ));
  return [
    fact("parameters", (run) => short(run.parameters)),
    fact("steps done", (run) => count(run.step)),
    fact("tokens seen", (run) => short(run.tokens)),
    fact("training minutes", (run) => fixed(run.minutes, 1)),
    fact("training FLOPs",
      (run) => (run.flops_per_token && run.tokens ? (run.flops_per_token * run.tokens).toExponential(2) : "n/a")),
  ];
}

/** @param {[setting: string, values: Record<string, string>]} row @param {Lab.RunLine[]} runs */
const settingRow = ([setting, values], runs) =>
  h("tr", { data: { setting } }, h("th", { scope: "row" }, setting), ...runs.map(({ name }) => {
    const text = values[name] ?? "not set";
    return h("td", { title: text.length > LONGEST ? text : null, class: name in values ? null : "lab-muted" },
      clip(text, LONGEST));
  }));
