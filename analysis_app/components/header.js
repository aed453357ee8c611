// Whose page this is, what the run is doing, light or dark.

import { count, h, replace } from "./lib/dom.js";
import { flow } from "./lib/flow.js";
import { bodyOf } from "./lib/panel.js";
import { on, state } from "./lib/store.js";

const KEPT = "lab-theme";

/** @param {Element} element */
export function mount(element) {
  const kept = window.localStorage.getItem(KEPT);
  if (kept) document.body.classList.toggle("dark", kept === "dark");
  const where = h("div", { class: "lab-where" });
  const theme = h("button", { class: "lab-button", title: "light or dark",
    "aria-label": "switch between light and dark", onclick: turn }, "◐");
  replace(bodyOf(element), h("h1", {}, "Look inside"), where,
    h("a", { class: "lab-button", href: "docs", title: "the same numbers for scripts" }, "API"), theme);
  const name = h("b", { class: "lab-run-name" }), pill = h("span", { class: "lab-pill" }), progress = h("span");
  const age = h("small", { class: "lab-as-of" });
  on((changed) => ["info", "runs", "opening", "link"].some((one) => changed.has(one)) && refresh());
  window.setInterval(refresh, 1000);
  refresh();

  function refresh() {
    const { selection, info } = state, run = info?.runs.find((one) => one.name === selection.run);
    if (!run) return where.replaceChildren();
    if (!where.children.length) replace(where, name, pill, progress, age);
    const of = run.total_steps ? ` of ${count(run.total_steps)}` : "", { open, heardAt } = flow;
    write(name, run.name);
    write(pill, run.state);
    pill.dataset.state = run.state;
    write(progress, run.step === null ? "" : `trained ${count(run.step)}${of} steps`);
    const heard = heardAt ? `${Math.round((Date.now() - heardAt) / 1000)} s ago` : "as the page was opened";
    write(age,
      run.step === null ? "" : `as of step ${count(run.step)}, ${heard}${open || !heardAt ? "" : ": no connection"}`);
    age.dataset.link = open || !heardAt ? "open" : "lost";
  }

  function turn() {
    const dark = document.body.classList.toggle("dark");
    window.localStorage.setItem(KEPT, dark ? "dark" : "light");
  }
}

/**
 * Only what is another is written: a screen reader, and who selects text, is not disturbed.
 * @param {HTMLElement} node
 * @param {string} text
 */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
