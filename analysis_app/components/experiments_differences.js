// What sets the chosen runs apart: every setting that is not the same in all of them.

import { colourOf, request } from "./lib/chosen.js";
import { clip, count, fixed, h, replace, short } from "./lib/dom.js";
import { panel } from "./lib/panel.js";

const LONGEST = 60;

export function mount(element) {
  const found = panel(element, { anyModel: true, request, show });
  function show({ runs, differences }) {
    const names = runs.map((run) => run.name);
    const head = ["", ...names].map((name, i) =>
      h("th", { scope: "col" },
        i ? h("i", { class: "lab-swatch", style: { background: `var(${colourOf(name) ?? "--lab-muted"})` } }) : null,
        name)
    );
    const fact = (text, of) =>
      h("tr", { class: "lab-fact" }, h("th", { scope: "row" }, text), ...runs.map((run) => h("td", {}, of(run))));
    const facts = [
      fact("parameters", (run) => short(run.parameters)),
      fact("steps done", (run) => count(run.step)),
      fact("tokens seen", (run) => short(run.tokens)),
      fact("training minutes", (run) => fixed(run.minutes, 1)),
      fact("training FLOPs",
        (run) => (run.flops_per_token && run.tokens ? (run.flops_per_token * run.tokens).toExponential(2) : "n/a")),
    ];
    const rows = differences.map(([setting, values]) =>
      h("tr", { data: { setting } }, h("th", { scope: "row" }, setting), ...names.map((name) => {
        const text = values[name] ?? "not set";
        return h("td", { title: text.length > LONGEST ? text : null, class: name in values ? null : "lab-muted" },
          clip(text, LONGEST));
      }))
    );
    const note = names.length < 2
      ? "Choose a second run to see what sets them apart."
      : rows.length
      ? `${rows.length} settings differ; all others are the same.`
      : "Not one setting differs: the same run twice, but for chance and machine.";
    replace(found.body, h("p", { class: "lab-note" }, note),
      h("div", { class: "lab-scroll lab-tall", tabindex: 0, role: "region", "aria-label": "differences" },
        h("table", { class: "lab-table lab-differences" }, h("thead", {}, h("tr", {}, ...head)),
          h("tbody", {}, ...facts, ...rows))));
    found.root.dataset.differences = differences.length;
  }
}
