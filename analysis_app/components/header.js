// Whose page this is, what the run is doing, light or dark.

import { count, h, replace } from "./lib/dom.js";
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
  on((changed) => (changed.has("info") || changed.has("step")) && refresh());
  refresh();

  function refresh() {
    const { selection, info } = state, run = info?.runs.find((r) => r.name === selection.run);
    if (!run) return replace(where);
    const of = run.total_steps ? ` of ${count(run.total_steps)}` : "";
    const progress = run.step === null ? null : h("span", {}, `trained ${count(run.step)}${of} steps`);
    replace(where, h("b", { class: "lab-run-name" }, run.name),
      h("span", { class: "lab-pill", data: { state: run.state } }, run.state), progress);
  }

  function turn() {
    const dark = document.body.classList.toggle("dark");
    window.localStorage.setItem(KEPT, dark ? "dark" : "light");
  }
}
