// The sidebar: run, snapshot, comparison, text, layer and head, and a link to exactly this view.

import { choice, count, fixed, h, replace, short } from "./lib/dom.js";
import { bodyOf } from "./lib/panel.js";
import { currentText, dismissNotes, lockHead, on, published, select, state } from "./lib/store.js";

const TYPING_MS = 350;
const PRESETS = [
  ["Repetition", "red green blue one two three red green blue one two three"],
  ["A sentence", "When the sun went down, the old man and the boy walked home."],
  ["Names", "Anna gave the book to Peter, and Peter gave it back to Anna."],
  ["Code", "def add(a, b):\n    return a + b\n\nprint(add(1, 2))"],
];

export function mount(element) {
  const body = bodyOf(element), notes = h("div", { class: "lab-notes", role: "status" });
  const place = (name) => h("div", { class: `lab-field lab-field-${name}` });
  const [run, step, compare, presets, head, link] = ["run", "step", "compare", "presets", "head", "link"].map(place);
  const text = h("textarea", { id: "lab-text", rows: 5, maxlength: 20000, spellcheck: "false",
    "aria-label": "the text that the model reads", oninput: typed, onkeydown: hurry });
  let timer = null;
  replace(body, notes, run, step, compare,
    h("div", { class: "lab-field" }, h("label", { class: "lab-name", for: "lab-text" }, "Text"), text, presets), head,
    link);
  replace(presets,
    ...[["Its own text", null], ...PRESETS].map(([name, value]) =>
      h("button", { class: "lab-preset", onclick: () => {
        select({ text: value });
        text.value = currentText();
      } }, name)
    ));
  replace(link, h("button", { class: "lab-button lab-wide", onclick: copy }, "Copy link to this view"));
  on(refresh);
  refresh(new Set(["info"]));

  function typed() {
    window.clearTimeout(timer);
    timer = window.setTimeout(look, TYPING_MS);
  }

  function hurry(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) look();
  }

  function look() {
    window.clearTimeout(timer);
    select({ text: text.value });
  }

  async function copy(event) {
    const button = event.target;
    try {
      await navigator.clipboard.writeText(window.location.href);
      button.textContent = "Copied";
    } catch {
      button.textContent = "The address bar has it";
    }
    window.setTimeout(() => {
      button.textContent = "Copy link to this view";
    }, 1500);
  }

  function refresh(changed) {
    if (!state.info) return;
    if (changed.has("info")) {
      runs();
      comparisons();
      if (document.activeElement !== text) text.value = currentText();
    } else if (changed.has("text") && document.activeElement !== text) text.value = currentText();
    if (["info", "step"].some((name) => changed.has(name))) snapshots();
    if (changed.has("step")) comparisons();
    if (["info", "layer", "head", "lock", "hover"].some((name) => changed.has(name))) heads();
    const said = state.info.notes;
    replace(notes, ...said.map((note) => h("p", {}, note)),
      said.length ? h("button", { class: "lab-button", onclick: dismissNotes }, "Dismiss") : null);
  }

  function runs() {
    const names = state.info.runs.map((r) => [r.name, `${r.name} · ${r.state}`]);
    replace(run, names.length
      ? choice("Run", names, state.selection.run, (name) => select({ run: name, step: null, token: null }))
      : h("p", { class: "lab-note" }, "No run yet."));
  }

  function snapshots() {
    const steps = state.info.steps ?? [], at = steps.indexOf(state.selection.step);
    if (!steps.length)
      return replace(step, ...(published()
        ? [h("span", { class: "lab-name" }, "Snapshot"),
          h("input", { type: "range", disabled: true, "aria-label": "snapshot" }),
          h("p", { class: "lab-note" }, "A published model: one set of weights, and nothing of its training.")]
        : []));
    const go = (to) => select({ step: steps[Math.min(steps.length - 1, Math.max(0, to))] });
    const row = state.info.weights.find((w) => w.step === steps[at] && !w.problem);
    // The slider stays the same element, or dragging it would end with the first step.
    let slider = step.querySelector("input");
    if (!slider || Number(slider.max) !== steps.length - 1) {
      slider = h("input", { type: "range", id: "lab-step", min: 0, max: steps.length - 1, "aria-label": "snapshot",
        oninput: () => go(Number(slider.value)) });
      const bar = h("div", { class: "lab-slider" },
        h("button", { class: "lab-button", "aria-label": "earlier snapshot", onclick: () =>
          go(Number(slider.value) - 1) }, "‹"), slider,
        h("button", { class: "lab-button", "aria-label": "later snapshot", onclick: () =>
          go(Number(slider.value) + 1) }, "›"));
      replace(step, h("span", { class: "lab-name" }, "Snapshot"), bar, h("div", { class: "lab-facts" }));
    }
    slider.value = at;
    slider.setAttribute("aria-valuetext", `step ${steps[at]}`);
    const fact = (name, value) => h("span", {}, h("small", {}, name), h("b", {}, value));
    replace(step.querySelector(".lab-facts"), fact("step", count(steps[at])), fact("tokens", short(row?.tokens)),
      fact("train", fixed(row?.train_loss, 2)), fact("val", fixed(row?.val_loss, 2)));
  }

  function comparisons() {
    const { selection, info } = state, mine = selection.run;
    const own = (info.steps ?? []).filter((s) => s !== selection.step).map((
      s,
    ) => [`${mine}@${s}`, `this run at step ${count(s)}`]);
    const others = info.runs.filter((r) => r.name !== mine).map((r) => [r.name, `${r.name}, newest`]);
    const known = [["", "nothing"], ...own, ...others];
    const value = selection.compare ?? "";
    if (!known.some(([v]) => v === value)) known.push([value, value.replace("@", " at step ")]);
    replace(compare, choice("Compare with (B)", known, value, (v) => select({ compare: v || null })));
  }

  function heads() {
    const { model } = state.info, { layer, head: index } = state.selection;
    if (!model) return replace(head);
    const stepper = (name, value, of) =>
      h("div", { class: "lab-stepper", role: "group", "aria-label": name }, h("span", { class: "lab-name" }, name),
        h("button", { class: "lab-button", "aria-label": `previous ${name.toLowerCase()}`, disabled: value === 0,
          onclick: () => pick(name, value - 1) }, "‹"), h("b", { id: `lab-${name.toLowerCase()}` }, String(value)),
        h("button", { class: "lab-button", "aria-label": `next ${name.toLowerCase()}`, disabled: value >= of - 1,
          onclick: () => pick(name, value + 1) }, "›"));
    replace(head, stepper("Layer", layer, model.n_layers), stepper("Head", index, model.n_heads),
      h("small", { class: "lab-note" },
        `${model.n_layers} layers × ${model.n_heads} heads, ${short(model.n_parameters)} parameters${
          state.headLocked ? " · head locked, Esc unlocks" : ""
        }`));
  }

  function pick(name, value) {
    lockHead(true);
    select({ [name.toLowerCase()]: value });
  }
}
