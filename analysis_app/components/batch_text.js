// Batch N: the very text that the update from step N to N + 1 learned from, coloured by how surprised a snapshot is.

import { chosenBatch, showBatch } from "./lib/chosen_runs.js";
import { worn } from "./lib/colour.js";
import { chip, choice, count, fixed, h, hideTip, replace, showTip } from "./lib/dom.js";
import { actionsOf, panel } from "./lib/panel.js";
import { on, option, setOption, state } from "./lib/store.js";
import { lossKey } from "./loss_text.js";

const SHOWN_TOKENS = 3000; // at first; thousands of coloured words take a browser a while

const weights = () => option("by", "met", (name) => ["met", "selected"].includes(name));
const sorting = () => option("order", "loss", (name) => ["loss", "batch"].includes(name));

/** @param {Element} element */
export function mount(element) {
  /** @type {Lab.BatchView | null} */
  let view = null;
  let first = 0, all = false, page = "";
  const text = h("div", { class: "lab-batch", onmouseover: (event) => view && tell(view, event),
    onmouseleave: hideTip });
  const sums = h("div", { class: "lab-chips" }), key = h("div", { class: "lab-key" }), notes = h("div");
  const more = h("div", { class: "lab-actions-row" });
  const found = panel(element, {
    request({ run, step }) {
      const batch = chosenBatch();
      if (!Number.isFinite(batch))
        return "Click on a curve above, a spike for example, or type a step: this shows the text that it learned from.";
      if (page !== (page = `${run} ${batch}`)) [first, all] = [0, false];
      return [["batch", { run, batch, step: weights() === "selected" ? step : null, first, packed: true }]];
    },
    anyModel: true,
    show(answer) {
      view = answer;
      draw();
    },
    update: (changed) => changed.has("order") && draw(),
    draw,
  });
  replace(found.body, sums, notes, text, more, key);
  controls(element);

  function draw() {
    const batch = view;
    if (!batch) return;
    const sequences = [...batch.sequences];
    if (sorting() === "loss") sequences.sort((a, b) => (b.mean_loss ?? 0) - (a.mean_loss ?? 0));
    let shown = 0, room = all ? Infinity : SHOWN_TOKENS;
    while (shown < sequences.length && (room > 0 || !shown)) room -= sequences[shown++].tokens.length;
    replace(sums, ...factsOf(batch));
    replace(notes, ...batch.notes.map((note) => h("p", { class: "lab-warn" }, note)));
    replace(text, ...sequences.slice(0, shown).map((one) => sequence(one, batch)));
    replace(more, ...buttons(batch, sequences.length - shown));
    replace(key, ...(batch.step === null ? [] : lossKey(batch.uniform_loss, "faint: given, not asked for")));
    Object.assign(found.root.dataset, { batch: batch.batch, run: batch.run });
  }

  /** @param {Lab.BatchView} view @param {number} left of the sequences that are here */
  function buttons({ first: from, sequences: { length }, n_sequences: of }, left) {
    /** @param {number} to @param {string} text */
    const go = (to, text) =>
      h("button", { class: "lab-button", onclick: () => {
        [first, all] = [to, false];
        found.refresh();
      } }, text);
    const rest = h("button", { class: "lab-button", onclick: () => {
      all = true;
      draw();
    } }, `Show ${left} more`);
    return [left ? rest : null, from > 0 ? go(Math.max(0, from - length), "Earlier sequences") : null,
      from + length < of ? go(from + length, `Sequences from ${count(from + length + 1)} on`) : null];
  }
}

/** Which batch, by which weights it is coloured, in which order. @param {Element} element */
function controls(element) {
  const number = h("input", { type: "number", id: "lab-batch", min: 0, step: 1, "aria-label": "batch", onchange: () => {
    if (number.value !== "") showBatch(state.selection.run, Math.max(0, Math.round(Number(number.value))));
  } });
  const by = h("span"), order = h("span");
  replace(actionsOf(element), h("label", { class: "lab-choice" }, h("span", {}, "Batch"), number), by, order);
  on((changed) => {
    if (["info", "step", "run", "batch", "option"].some((name) => changed.has(name))) refresh();
  });
  refresh();

  function refresh() {
    const batch = chosenBatch(), { step } = state.selection;
    if (document.activeElement !== number) number.value = Number.isFinite(batch) ? String(batch) : "";
    const selected = `the selected snapshot${step === null ? "" : ` (step ${count(step)})`}`;
    if (by.dataset.told === selected) return;
    by.dataset.told = selected;
    replace(by,
      choice("Coloured by", [["met", "the last snapshot before it"], ["selected", selected]], weights(),
        (name) => setOption("by", name, "met")));
    replace(order,
      choice("Order", [["loss", "most surprising first"], ["batch", "as in the batch"]], sorting(),
        (name) => setOption("order", name, "loss")));
  }
}

/** @param {Lab.BatchView} view */
const factsOf = (view) => [
  chip("batch", count(view.batch), "optimizer steps done before it"),
  chip("sequences", `${count(view.n_sequences)} of ${count(view.context_length)} tokens`),
  view.epoch === null ? null : chip("epoch", count(view.epoch)),
  chip("training measured", view.recorded_loss === null ? "n/a" : `${fixed(view.recorded_loss, 4)} nats`,
    "train/loss of this step: of the whole batch, before its update"),
  view.step === null
    ? null
    : chip(`loss at step ${count(view.step)}`, `${fixed(view.mean_loss, 4)} nats`,
      "mean over what is shown here, by the weights that colour it"),
];

/** The loss of token i; NaN where none was computed. @param {Lab.BatchSequence} one @param {number} i */
const lossOf = ({ loss }, i) => (i && loss ? loss.data[i - 1] : NaN);

/** @param {Lab.BatchSequence} one @param {Lab.BatchView} view */
function sequence(one, view) {
  const at = view.sequences.indexOf(one);
  const words = one.tokens.flatMap((token, i) => {
    const loss = lossOf(one, i);
    const word = h("span", { class: one.counts[i] ? "lab-word" : "lab-word lab-given", data: { at: `${at}.${i}` },
      style: Number.isFinite(loss) ? worn("warm", loss / view.uniform_loss) : {} }, token);
    return token.includes("⏎") ? [word, "\n"] : [word];
  });
  const mean = one.mean_loss === null ? "" : ` · mean loss ${fixed(one.mean_loss)}`;
  return h("section", {}, h("h3", {}, `sequence ${one.index + 1}${mean}`), h("p", {}, ...words));
}

/** @param {Lab.BatchView} view @param {MouseEvent} event */
function tell(view, event) {
  const place = event.target instanceof HTMLElement ? event.target.dataset.at ?? "" : "";
  const [at, i] = place.split(".").map(Number), one = view.sequences[at];
  if (!one || !Number.isInteger(i)) return hideTip();
  const loss = lossOf(one, i);
  showTip(event, `${i} “${one.tokens[i]}”`, Number.isFinite(loss)
    ? [["loss", `${fixed(loss)} nats`], ["probability", fixed(Math.exp(-loss))]]
    : [[one.counts[i] ? "not scored" : "given, not asked for", ""]]);
}
