// Writing: streamed, each token coloured by its probability; hover tells the alternatives, a click branches.

import { Refused, stream } from "./lib/client.js";
import { colour, ink, onTheme } from "./lib/colour.js";
import { count, fixed, h, hideTip, percent, replace, showTip } from "./lib/dom.js";
import { bodyOf } from "./lib/panel.js";
import { asked, currentText, on, select, state } from "./lib/store.js";

const SETTINGS = [
  ["max_tokens", "tokens", 1, 2000, 1, 120], ["temperature", "temperature", 0, 3, 0.05, 0.8], ["top_k", "top-k (0: all)", 0, 100000, 1, 0],
  ["top_p", "top-p (1: all)", 0.01, 1, 0.01, 1], ["seed", "seed", 0, 2 ** 32 - 1, 1, 1337],
];

export function mount(element) {
  const root = element.querySelector(".lab-panel"), inputs = {};
  const fields = SETTINGS.map(([name, text, min, max, step, value]) => {
    inputs[name] = h("input", { type: "number", id: `lab-${name}`, min, max, step, value });
    return h("label", { class: "lab-control" }, h("span", {}, text), inputs[name]);
  });
  inputs.stop = h("input", { type: "text", id: "lab-stop", maxlength: 200, placeholder: "none" });
  fields.push(h("label", { class: "lab-control" }, h("span", {}, "stop at the text"), inputs.stop));
  const go = h("button", { class: "lab-button lab-primary", id: "lab-generate", onclick: () => write() }, "Generate");
  const stop = h("button", { class: "lab-button", disabled: true, onclick: () => running?.abort() }, "Stop");
  const columns = h("div", { class: "lab-columns" }), menu = h("div", { class: "lab-menu" });
  let running = null;
  replace(bodyOf(element), h("div", { class: "lab-controls" }, ...fields), h("div", { class: "lab-actions-row" }, go, stop, h("span", { class: "lab-note" }, "goes on with the text at the left; two sides with the same seed where something is compared")), columns, menu);
  on((changed) => changed.has("info") && ready());
  onTheme(() => columns.querySelectorAll("[data-p]").forEach(paint));
  ready();

  function ready() {
    go.disabled = !state.info?.model;
    if (!columns.children.length) rest();
  }

  function rest() {
    root.dataset.state = "empty";
    replace(columns, h("p", { class: "lab-message" }, state.info && !state.info.model ? "There are no weights to write with yet." : "Nothing written yet: “Generate” lets the model go on with the text."));
  }

  function settings() {
    const number = (name) => Number(inputs[name].value);
    return { max_tokens: number("max_tokens"), temperature: number("temperature"), seed: number("seed"), top_k: number("top_k") || null, top_p: number("top_p") < 1 ? number("top_p") : null, stop: inputs.stop.value };
  }

  async function write(after = [], kept = []) {
    running?.abort();
    const mine = (running = new AbortController());
    menu.replaceChildren();
    root.dataset.state = "loading";
    stop.disabled = false;
    const sides = state.selection.compare ? ["a", "b"] : ["a"], written = sides.map((side) => column(side));
    replace(columns, ...written.map((one) => one.node));
    // One after the other: they share the cores, and a branch is A's alone.
    for (const [i, side] of sides.entries()) {
      if (!mine.signal.aborted) await follow(written[i], side, side === "a" ? after : [], side === "a" ? kept : [], mine);
    }
    if (running === mine) {
      running = null;
      stop.disabled = true;
    }
  }

  function column(side) {
    const { run, step } = asked(side), text = h("div", { class: "lab-writing", "aria-live": "off" }), foot = h("p", { class: "lab-note lab-foot", role: "status" });
    const name = `${run}${step === null || step === undefined ? "" : ` at step ${count(step)}`}`;
    return { node: h("div", { class: "lab-column" }, h("h3", {}, state.selection.compare ? `${side.toUpperCase()}: ${name}` : name), text, foot), text, foot, ids: [], tokens: [] };
  }

  async function follow(one, side, after, kept, mine) {
    const began = performance.now();
    const { run, step } = asked(side);
    try {
      await stream("api/generate", { run, step, text: currentText(), after, ...settings() }, mine.signal, (event) => {
        if (event.event === "start") {
          one.text.append(h("span", { class: "lab-prompt" }, currentText()));
          kept.forEach((token) => add(one, token));
          one.foot.textContent = event.notes.join(" ");
        } else if (event.event === "token") {
          if (!one.first) one.first = performance.now() - began;
          add(one, event);
        } else {
          root.dataset.state = "ready";
          one.text.dataset.text = event.text;
          one.foot.textContent = `${count(event.tokens)} tokens, ${fixed(event.tokens_per_second, 0)} tokens/s; the first after ${fixed(one.first, 0)} ms; ended: ${event.ended.replace("_", " ")}`;
          root.dataset.firstMs = fixed(one.first, 0);
        }
      });
    } catch (error) {
      if (error.name === "AbortError") {
        root.dataset.state = "ready";
        one.foot.textContent = `stopped after ${count(one.ids.length)} tokens`;
        return;
      }
      root.dataset.state = "error";
      if (!(error instanceof Refused)) console.error(error);
      replace(one.foot, h("b", {}, error.message), " ", h("code", {}, error.id ?? ""), " ", h("button", { class: "lab-button", onclick: () => write(after, kept) }, "Try again"));
    }
  }

  function add(one, token) {
    const position = one.ids.length;
    one.ids.push(token.id);
    one.tokens.push(token);
    const node = h("span", {
      class: "lab-written", role: "button", tabindex: 0, onkeydown: (event) => event.key === "Enter" && branch(one, position), data: { p: token.probability, id: token.id },
      "aria-label": `${token.label}, ${percent(token.probability)}`,
      onmouseenter: (event) => showTip(event, `“${token.label}”`, [["the model gave it", percent(token.probability)], ["chance in the drawing", percent(token.chance)], ...token.alternatives.slice(0, 5).map((other) => [`instead: ${other.label}`, percent(other.probability)])]),
      onmouseleave: hideTip,
      onclick: () => branch(one, position),
    }, token.text || "");
    paint(node);
    one.text.append(node);
  }

  function paint(node) {
    // Surprising tokens stand out; what was expected stays plain.
    const surprise = Math.min(1, -Math.log(Math.max(1e-9, Number(node.dataset.p))) / 6);
    Object.assign(node.style, { background: colour("warm", surprise), color: ink("warm", surprise) });
  }

  function branch(one, position) {
    hideTip();
    const token = one.tokens[position], before = one.tokens.slice(0, position);
    const options = token.alternatives.map((other) => h("button", { class: "lab-preset", onclick: () => {
      const chosen = { ...token, id: other.id, label: other.label, text: other.label.replaceAll("·", " ").replaceAll("⏎", "\n"), probability: other.probability, chance: null };
      const kept = [...before, chosen];
      write(kept.map((t) => t.id), kept);
    } }, `${other.label} ${percent(other.probability)}`));
    replace(menu, h("b", {}, `Branch at “${token.label}”: go on with`), ...options, h("button", { class: "lab-button", onclick: () => menu.replaceChildren() }, "Close"),
      h("button", { class: "lab-button", onclick: () => select({ text: currentText() + one.tokens.slice(0, position + 1).map((t) => t.text).join("") }) }, "Look inside up to here"));
  }
}
