// All runs of the folder; a tick lays one over the others.

import { chosen, comparable, MOST, swatchOf, toggle } from "./lib/chosen_runs.js";
import { count, fixed, h, replace, short } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { state } from "./lib/store.js";
import { valText } from "./lib/validation.js";

/** @param {Element} element */
export function mount(element) {
  const rows = h("tbody");
  const head = ["", "run", "state", "steps", "tokens", "train", "val"].map((text, i) =>
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
    const now = chosen(), focused = document.activeElement?.id ?? "";
    replace(rows, ...comparable().map((run) => row(run, now.includes(run.name), now.length >= MOST)));
    document.getElementById(focused)?.focus();
    found.root.dataset.chosen = now.join(",");
  }
}

/** @param {Lab.Run} run @param {boolean} on @param {boolean} full whether as many as can be are chosen */
function row({ name, state: status, step, total_steps: total, tokens, losses }, on, full) {
  const box = h("input", { type: "checkbox", id: `lab-run-${name}`, data: { run: name }, onchange: () => toggle(name),
    disabled: !on && full, title: !on && full ? `at most ${MOST} at once: more could not be told apart` : null });
  box.checked = on;
  const swatch = swatchOf(name);
  if (!on) swatch.style.background = "transparent";
  const numbers = [`${count(step)}${total ? ` of ${count(total)}` : ""}`, short(tokens), fixed(losses.train_loss),
    valText(losses)];
  return h("tr", { class: name === state.selection.run ? "lab-chosen" : null }, h("td", {}, box),
    h("td", {}, h("label", { for: box.id }, swatch, name)), h("td", {}, status),
    ...numbers.map((text) => h("td", { class: "lab-number" }, text)));
}
