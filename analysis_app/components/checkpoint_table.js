// Every checkpoint and snapshot of the run, from the facts beside them. A click looks at it.

import { analysis, get } from "./lib/client.js";
import { ago, bytes, count, fixed, h, replace, short } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { select, state } from "./lib/store.js";

export function mount(element) {
  const badge = h("div", { class: "lab-proof", role: "status" }),
    place = h("div", { class: "lab-scroll lab-tall", tabindex: 0, role: "region",
      "aria-label": "table of all weights" });
  let rows = null;
  const found = panel(element, {
    anyModel: true,
    request: () => (state.info.weights.length
      ? []
      : "No weights yet: a run writes snapshots at the steps 0, 1, 2, 4, 8, … and checkpoints as it goes."),
    show: fill,
    numbers: () => state.info.weights,
    update: (
      changed,
    ) => (changed.has("info") ? fill() : ["step", "compare", "run"].some((name) => changed.has(name)) ? mark() : null),
  });
  replace(found.body, badge, place);

  function fill() {
    const weights = [...state.info.weights].reverse();
    const best = Math.min(...weights.map((w) => w.val_loss ?? Infinity));
    rows = weights.map((w) => row(w, best));
    const names = ["step", "tokens", "train", "val", "probe", "kind", "size", "written", "compare"];
    const head = h("tr", {},
      ...names.map((name) =>
        h("th", { scope: "col", title: name === "probe" ? "loss on the run’s fixed probe text, nats per token" : null },
          name)
      ));
    replace(place,
      h("table", { class: "lab-table" }, h("thead", {}, head), h("tbody", {}, ...rows.map((r) => r.node))));
    mark();
  }

  function row(w, best) {
    const tags = [...w.aliases.map((name) => h("span", { class: "lab-tag" }, name)),
      w.problem ? null : h("span", { class: "lab-kind" }, w.kind)];
    const cells = [count(w.step), short(w.tokens), fixed(w.train_loss), fixed(w.val_loss), fixed(w.probe_loss)].map((
      value,
      i,
    ) => h("td", { class: i === 3 && w.val_loss === best ? "lab-number lab-best" : "lab-number" }, value));
    const compare = h("button", { class: "lab-button", title: "compare the selected weights with these",
      onclick: (event) => {
        event.stopPropagation();
        toggle(w);
      } }, "as B");
    const last = w.problem
      ? h("td", { class: "lab-problem", colspan: 2 }, w.problem)
      : h("td", { class: "lab-number" }, ago(w.wall));
    const node = h("tr", { class: w.problem ? "lab-damaged" : "lab-row", tabindex: w.problem ? null : 0,
      data: { file: w.file, step: w.step ?? "" }, title: w.file }, ...cells,
      h("td", {}, ...tags, w.problem ? h("span", { class: "lab-kind" }, w.kind) : null),
      h("td", { class: "lab-number" }, bytes(w.size)), last,
      w.problem ? null : h("td", {}, w.step === null ? null : compare));
    if (!w.problem) {
      const open = () => w.step !== null && select({ step: w.step });
      node.addEventListener("click", open);
      node.addEventListener("keydown", (event) => {
        const next = { ArrowDown: node.nextElementSibling, ArrowUp: node.previousElementSibling }[event.key];
        if (event.key === "Enter" && event.target === node) open();
        if (!next) return;
        event.preventDefault();
        next.focus();
      });
    }
    return { node, w, compare };
  }

  function toggle(w) {
    const name = `${state.selection.run}@${w.step}`;
    select({ compare: state.selection.compare === name ? null : name });
  }

  function mark() {
    const { run, step, compare } = state.selection;
    rows.forEach(({ node, w, compare: button }) => {
      const chosen = !w.problem && w.step === step;
      node.classList.toggle("lab-chosen", chosen);
      node.setAttribute("aria-selected", String(chosen));
      button.setAttribute("aria-pressed", String(compare === `${run}@${w.step}`));
    });
    prove();
  }

  async function prove() {
    const { run, step } = state.selection;
    const stale = () => run !== state.selection.run || step !== state.selection.step;
    if (!state.info.model) return replace(badge, state.info.problem ?? "");
    if (step === null)
      return replace(badge, "A published model: one set of weights, with no losses recorded that could be checked.");
    try {
      const answer = await analysis("reproduction", { run, step });
      if (stale()) return;
      const [mark_, words] =
        { true: ["✓", "reproduces its recorded loss"], false: ["✗", "does not reproduce its recorded loss"],
          null: ["–", "cannot be checked"] }[answer.reproduces];
      badge.dataset.reproduces = answer.reproduces;
      replace(badge, h("b", {}, `${mark_} Step ${count(step)} ${words}`), h("span", {}, ` · ${answer.explanation}`));
    } catch (error) {
      if (!stale()) {
        badge.dataset.reproduces = "error";
        replace(badge, h("b", {}, error.message), " ", h("code", {}, error.id ?? ""));
      }
      if (run === state.selection.run) await look();
    }
  }

  // Weights that could not be opened are a damaged row from now on.
  async function look() {
    const before = JSON.stringify(state.info.weights);
    state.info.weights = await get(`api/runs/${encodeURIComponent(state.selection.run)}/checkpoints`).catch(() =>
      state.info.weights
    );
    if (JSON.stringify(state.info.weights) !== before) fill();
  }
}
