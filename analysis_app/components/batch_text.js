// Batch N: the very text that the update from step N to N + 1 learned from, coloured by how surprised a snapshot is.

import { paint } from "./lib/canvas.js";
import { chosenBatch, showBatch } from "./lib/chosen.js";
import { colour, ink } from "./lib/colour.js";
import { choice, count, fixed, h, hideTip, replace, showTip } from "./lib/dom.js";
import { actionsOf, panel } from "./lib/panel.js";
import { on, option, setOption, state } from "./lib/store.js";

const SHOWN_TOKENS = 3000; // at first; thousands of coloured words take a browser a while

export function mount(element) {
  let view = null, first = 0, all = false, page = "";
  const weights = () => option("by", "met", (name) => ["met", "selected"].includes(name));
  const sorting = () => option("order", "loss", (name) => ["loss", "batch"].includes(name));
  const text = h("div", { class: "lab-batch" }), sums = h("div", { class: "lab-chips" }),
    key = h("div", { class: "lab-key" }), more = h("div", { class: "lab-actions-row" }), notes = h("div");
  const number = h("input", { type: "number", id: "lab-batch", min: 0, step: 1, "aria-label": "batch",
    onchange: () =>
      number.value !== "" && showBatch(state.selection.run, Math.max(0, Math.round(Number(number.value)))) });
  const by = h("span"), order = h("span");
  replace(actionsOf(element), h("label", { class: "lab-choice" }, h("span", {}, "Batch"), number), by, order);
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
    draw,
  });
  replace(found.body, sums, notes, text, more, key);
  on((changed) => {
    if (["info", "step", "run", "batch", "option"].some((name) => changed.has(name))) controls();
  });
  text.addEventListener("mouseover", tell);
  text.addEventListener("mouseleave", hideTip);
  controls();

  function controls() {
    const batch = chosenBatch();
    if (document.activeElement !== number) number.value = Number.isFinite(batch) ? batch : "";
    const selected = `the selected snapshot${
      Number.isInteger(state.selection.step) ? ` (step ${count(state.selection.step)})` : ""
    }`;
    if (by.dataset.told === selected) return;
    by.dataset.told = selected;
    replace(by,
      choice("Coloured by", [["met", "the last snapshot before it"], ["selected", selected]], weights(),
        (name) => setOption("by", name, "met")));
    replace(order,
      choice("Order", [["loss", "most surprising first"], ["batch", "as in the batch"]], sorting(), (name) => {
        setOption("order", name, "loss");
        if (view) draw();
      }));
  }

  function draw() {
    const sorted = sorting() === "loss"
      ? [...view.sequences].sort((a, b) => (b.mean_loss ?? 0) - (a.mean_loss ?? 0))
      : view.sequences;
    let shown = 0, room = all ? Infinity : SHOWN_TOKENS;
    while (shown < sorted.length && (room > 0 || !shown)) room -= sorted[shown++].tokens.length;
    const chip = (name, value, why) =>
      h("span", { class: "lab-chip", title: why, data: { fact: name } }, `${name} `, h("b", {}, value));
    const scored = view.step === null
      ? null
      : chip(`loss at step ${count(view.step)}`, `${fixed(view.mean_loss, 4)} nats`,
        "mean over what is shown here, by the weights that colour it");
    replace(sums, chip("batch", count(view.batch), "optimizer steps done before it"),
      chip("sequences", `${count(view.n_sequences)} of ${count(view.context_length)} tokens`),
      view.epoch === null ? null : chip("epoch", count(view.epoch)),
      chip("training measured", view.recorded_loss === null ? "n/a" : `${fixed(view.recorded_loss, 4)} nats`,
        "train/loss of this step: of the whole batch, before its update"), scored);
    replace(notes, ...view.notes.map((note) => h("p", { class: "lab-warn" }, note)));
    replace(text, ...sorted.slice(0, shown).map(sequence));
    const last = view.first + view.sequences.length, go = (to) => {
      [first, all] = [to, false];
      found.refresh();
    };
    replace(more, shown < sorted.length
      ? h("button", { class: "lab-button", onclick: () => {
        all = true;
        draw();
      } }, `Show ${sorted.length - shown} more`)
      : null, view.first > 0
      ? h("button", { class: "lab-button", onclick: () => go(Math.max(0, view.first - view.sequences.length)) },
        "Earlier sequences")
      : null, last < view.n_sequences
      ? h("button", { class: "lab-button", onclick: () => go(last) }, `Sequences from ${count(last + 1)} on`)
      : null);
    const ramp = paint(h("canvas", { class: "lab-ramp", "aria-hidden": "true" }), 1, 64, (_, i) => ["warm", i / 63]);
    replace(key, ...(view.step === null
      ? []
      : [h("span", {}, "expected (0)"), ramp, h("span", {}, `as bad as guessing (${fixed(view.uniform_loss, 2)} nats)`),
        h("span", { class: "lab-note" }, "faint: given, not asked for")]));
    [found.root.dataset.batch, found.root.dataset.run] = [view.batch, view.run];
  }

  function sequence(one) {
    const at = view.sequences.indexOf(one), parts = [];
    one.tokens.forEach((token, i) => {
      const loss = i && one.loss ? one.loss.data[i - 1] : NaN, value = loss / view.uniform_loss;
      const style = Number.isFinite(loss) ? { background: colour("warm", value), color: ink("warm", value) } : {};
      parts.push(
        h("span", { class: one.counts[i] ? "lab-word" : "lab-word lab-given", style, data: { at: `${at}.${i}` } },
          token),
      );
      if (token.includes("⏎")) parts.push("\n");
    });
    const mean = one.mean_loss === null ? "" : ` · mean loss ${fixed(one.mean_loss, 3)}`;
    return h("section", {}, h("h3", {}, `sequence ${one.index + 1}${mean}`), h("p", {}, ...parts));
  }

  function tell(event) {
    const [at, i] = (event.target.dataset.at ?? "").split(".").map(Number), one = view?.sequences[at];
    if (!one || !Number.isInteger(i)) return hideTip();
    const loss = i && one.loss ? one.loss.data[i - 1] : NaN;
    const rows = Number.isFinite(loss)
      ? [["loss", `${fixed(loss)} nats`], ["probability", fixed(Math.exp(-loss))]]
      : [[one.counts[i] ? "not scored" : "given, not asked for", ""]];
    showTip(event, `${i} “${one.tokens[i]}”`, rows);
  }
}
