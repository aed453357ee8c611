// The sidebar: run, snapshot, comparison, text, layer and head, and a link to exactly this view.

import { choice, copyButton, count, fact, fixed, h, replace, short } from "./lib/dom.js";
import { bodyOf } from "./lib/panel.js";
import { currentText, dismissNotes, on, published, select, selectHead, state } from "./lib/store.js";
import { valText } from "./lib/validation.js";

const TYPING_MS = 350;
/** @type {[name: string, text: string | null][]} */
const PRESETS = [
  ["Its own text", null],
  ["Repetition", "red green blue one two three red green blue one two three"],
  ["A sentence", "When the sun went down, the old man and the boy walked home."],
  ["Names", "Anna gave the book to Peter, and Peter gave it back to Anna."],
  ["Code", "def add(a, b):\n    return a + b\n\nprint(add(1, 2))"],
];

/** @param {string} name */
const field = (name) => h("div", { class: `lab-field lab-field-${name}` });

/** @param {Element} element */
export function mount(element) {
  const notes = h("div", { class: "lab-notes", role: "status" }), text = textField(), link = field("link");
  const run = field("run"), step = field("step"), compare = field("compare"), head = field("head");
  replace(bodyOf(element), notes, run, step, compare,
    h("div", { class: "lab-field" }, h("label", { class: "lab-name", for: "lab-text" }, "Text"), text, presets(text)),
    head, link);
  replace(link, copyButton("Copy link to this view", () => window.location.href, "The address bar has it", {
    class: "lab-button lab-wide",
  }));
  on(refresh);
  refresh(new Set(["info"]));

  /** @param {Lab.Changed} changed */
  function refresh(changed) {
    const { info } = state;
    if (!info) return;
    /** @param {string[]} names */
    const any = (...names) => names.some((name) => changed.has(name));
    if (any("info", "runs", "opening")) listRuns(run, info);
    if (any("info", "text") && document.activeElement !== text) text.value = currentText();
    if (any("info", "step", "weights")) snapshots(step, info);
    if (any("info", "step", "weights", "compare")) once(compare, comparisons(info));
    if (any("info", "layer", "head", "lock", "hover", "opening")) replace(head, ...heads(info));
    replace(notes, ...info.notes.map((note) => h("p", {}, note)),
      info.notes.length ? h("button", { class: "lab-button", onclick: dismissNotes }, "Dismiss") : null);
  }
}

// ---------------------------------------------------------------- the text

/** Is looked at when typing pauses, or at Ctrl+Enter. */
function textField() {
  let timer = 0;
  const text = h("textarea", { id: "lab-text", rows: 5, maxlength: 20000, spellcheck: "false",
    "aria-label": "the text that the model reads", oninput: () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(look, TYPING_MS);
    }, onkeydown: (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) look();
    } });
  function look() {
    window.clearTimeout(timer);
    select({ text: text.value });
  }
  return text;
}

/** @param {HTMLTextAreaElement} text */
const presets = (text) =>
  replace(field("presets"), ...PRESETS.map(([name, value]) =>
    h("button", { class: "lab-preset", onclick: () => {
      select({ text: value });
      text.value = currentText();
    } }, name)
  ));

// ---------------------------------------------------------------- weights

/** @param {HTMLElement} place @param {Lab.Info} info */
function listRuns(place, { runs: all }) {
  if (!all.length) return replace(place, h("p", { class: "lab-note" }, "No run yet."));
  const { run } = state.selection;
  /** @type {[string, string][]} */
  const known = all.map(({ name, state: status }) => [name, `${name} · ${status}`]);
  if (run !== null && !all.some(({ name }) => name === run)) known.unshift([run, `${run} · no longer here`]);
  once(place, choice("Run", known, run ?? "", (name) => select({ run: name, step: null, token: null })));
}

/**
 * A list that is open must not be taken away: only another one is put there.
 * @param {HTMLElement} place
 * @param {HTMLElement} list
 */
function once(place, list) {
  const now = place.querySelector("select"), made = list.querySelector("select");
  if (now?.innerHTML !== made?.innerHTML || now?.value !== made?.value) replace(place, list);
}

/** @param {HTMLElement} place @param {Lab.Info} info */
function snapshots(place, { steps, weights }) {
  const at = steps.indexOf(state.selection.step ?? -1), name = h("span", { class: "lab-name" }, "Snapshot");
  if (!steps.length) {
    return replace(place, ...(published()
      ? [name, h("input", { type: "range", disabled: true, "aria-label": "snapshot" }),
        h("p", { class: "lab-note" }, "A published model: one set of weights, and nothing of its training.")]
      : []));
  }
  // The slider stays the same element, or dragging it would end with the first step.
  let slider = place.querySelector("input");
  if (!slider || slider.disabled) {
    slider = sliderOf();
    replace(place, name,
      h("div", { class: "lab-slider" }, goes(slider, -1, "earlier snapshot", "‹"), slider,
        goes(slider, 1, "later snapshot", "›")), h("div", { class: "lab-facts" }));
  }
  slider.max = String(steps.length - 1);
  slider.value = String(at);
  slider.setAttribute("aria-valuetext", `step ${steps[at]}`);
  const row = weights.find((w) => w.step === steps[at] && !w.problem), facts = place.querySelector(".lab-facts");
  if (facts) {
    replace(facts, fact("step", count(steps[at])), fact("tokens", short(row?.tokens)),
      fact("train", fixed(row?.train_loss, 2)), fact("val", valText(row, 2)));
  }
}

function sliderOf() {
  const slider = h("input", { type: "range", id: "lab-step", min: 0, "aria-label": "snapshot", oninput: () => {
    select({ step: state.info?.steps[Number(slider.value)] ?? null });
  } });
  return slider;
}

/** @param {HTMLInputElement} slider @param {number} by @param {string} label @param {string} text */
const goes = (slider, by, label, text) =>
  h("button", { class: "lab-button", "aria-label": label, onclick: () => {
    slider.valueAsNumber += by;
    slider.dispatchEvent(new Event("input"));
  } }, text);

/** @param {Lab.Info} info */
function comparisons({ steps, runs: all }) {
  const { run: mine, step, compare } = state.selection, value = compare ?? "";
  /** @type {[string, string][]} */
  const known = [["", "nothing"]];
  known.push(
    ...steps.filter((s) => s !== step).map((
      s,
    ) => /** @type {[string, string]} */ ([`${mine}@${s}`, `this run at step ${count(s)}`])),
  );
  for (const { name } of all) if (name !== mine) known.push([name, `${name}, newest`]);
  if (!known.some(([v]) => v === value)) known.push([value, value.replace("@", " at step ")]);
  return choice("Compare with (B)", known, value, (v) => select({ compare: v || null }));
}

// ---------------------------------------------------------------- the head

/** @param {Lab.Info} info */
function heads({ model }) {
  if (!model || state.opening || state.failure) return [];
  const { n_layers: layers, n_heads: all, n_parameters: parameters } = model, { layer, head } = state.selection;
  return [
    stepper("Layer", layer, layers, (to) => selectHead(to, head)),
    stepper("Head", head, all, (to) => selectHead(layer, to)),
    h("small", { class: "lab-note" },
      `${layers} layers × ${all} heads, ${short(parameters)} parameters${
        state.headLocked ? " · head locked, Esc unlocks" : ""
      }`),
  ];
}

/** @param {string} name @param {number} value @param {number} of @param {(to: number) => void} go */
function stepper(name, value, of, go) {
  const called = name.toLowerCase();
  return h("div", { class: "lab-stepper", role: "group", "aria-label": name }, h("span", { class: "lab-name" }, name),
    h("button", { class: "lab-button", "aria-label": `previous ${called}`, disabled: value === 0,
      onclick: () => go(value - 1) }, "‹"), h("b", { id: `lab-${called}` }, String(value)),
    h("button", { class: "lab-button", "aria-label": `next ${called}`, disabled: value >= of - 1,
      onclick: () => go(value + 1) }, "›"));
}
