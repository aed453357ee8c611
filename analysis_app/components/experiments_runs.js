// All runs of the folder; a tick lays one over the others.

import { chosen, colourOf, comparable, MOST, toggle } from "./lib/chosen.js";
import { count, fixed, h, replace, short } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { state } from "./lib/store.js";

export function mount(element) {
  const rows = h("tbody"),
    head = ["", "run", "state", "steps", "tokens", "train", "val"].map((text, i) =>
      h("th", { scope: "col", class: i > 2 ? "lab-number" : null }, text)
    );
  const found = panel(element, {
    anyModel: true,
    request: () => (comparable().length ? [] : "No run in this folder has curves: only published models are here."),
    show: list,
    update(changed) {
      if (["info", "runs", "run"].some((name) => changed.has(name))) list();
    },
  });
  replace(found.body,
    h("div", { class: "lab-scroll lab-runs", tabindex: 0, role: "region", "aria-label": "runs to choose from" },
      h("table", { class: "lab-table" }, h("thead", {}, h("tr", {}, ...head)), rows)));

  function list() {
    const now = chosen(), full = now.length >= MOST, focused = document.activeElement?.dataset.run;
    const numbers = (
      run,
    ) => [`${count(run.step)}${run.total_steps ? ` of ${count(run.total_steps)}` : ""}`, short(run.tokens),
      fixed(run.losses.train_loss, 3), fixed(run.losses.val_loss, 3)];
    replace(rows, ...comparable().map((run) => {
      const on = now.includes(run.name), colour = colourOf(run.name);
      const box = h("input", { type: "checkbox", id: `lab-run-${run.name}`, data: { run: run.name },
        onchange: () => toggle(run.name), disabled: !on && full,
        title: !on && full ? `at most ${MOST} at once: more could not be told apart` : null });
      box.checked = on;
      return h("tr", { class: run.name === state.selection.run ? "lab-chosen" : null }, h("td", {}, box),
        h("td", {},
          h("label", { for: box.id },
            h("i", { class: "lab-swatch", style: { background: colour ? `var(${colour})` : "transparent" } }),
            run.name)), h("td", {}, run.state), ...numbers(run).map((text) => h("td", { class: "lab-number" }, text)));
    }));
    if (focused) rows.querySelector(`[data-run="${CSS.escape(focused)}"]`)?.focus();
    found.root.dataset.chosen = now.join(",");
  }
}
