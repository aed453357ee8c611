// Writing: streamed, each token coloured by its probability; hover tells the alternatives, a click branches.

import { post, Refused, stream } from "./lib/client.js";
import { colour, ink, onTheme } from "./lib/colour.js";
import { count, fixed, h, hideTip, percent, replace, showTip } from "./lib/dom.js";
import { numbersOf } from "./lib/export.js";
import { bodyOf } from "./lib/panel.js";
import { asked, currentText, on, option, select, setOption, state } from "./lib/store.js";

const SETTINGS = [
  ["max_tokens", "tokens", 1, 2000, 1, 120],
  ["temperature", "temperature", 0, 3, 0.05, 0.8],
  ["top_k", "top-k (0: all)", 0, 100000, 1, 0],
  ["top_p", "top-p (1: all)", 0.01, 1, 0.01, 1],
  ["seed", "seed", 0, 2 ** 32 - 1, 1, 1337],
];

export function mount(element) {
  const root = element.querySelector(".lab-panel"), inputs = {};
  const fields = SETTINGS.map(([name, text, min, max, step, value]) => {
    inputs[name] = h("input", { type: "number", id: `lab-${name}`, min, max, step,
      value: option(name, value, (text) => Number.isFinite(Number(text))),
      onchange: () => setOption(name, inputs[name].value, value) });
    return h("label", { class: "lab-control" }, h("span", {}, text), inputs[name]);
  });
  inputs.stop = h("input", { type: "text", id: "lab-stop", maxlength: 200, placeholder: "none",
    value: option("stop", ""), onchange: () => setOption("stop", inputs.stop.value, "") });
  fields.push(h("label", { class: "lab-control" }, h("span", {}, "stop at the text"), inputs.stop));
  const go = h("button", { class: "lab-button lab-primary", id: "lab-generate", onclick: () => write() }, "Generate");
  const stop = h("button", { class: "lab-button", disabled: true, onclick: () => running?.abort() }, "Stop");
  const before = h("div", { class: "lab-before-writing", role: "status" }),
    columns = h("div", { class: "lab-columns" }),
    menu = h("div", { class: "lab-menu" });
  let running = null, warned = null, sides = []; // what is written: A, and B where something was compared
  numbersOf(root,
    () => ({ settings: settings(),
      written: sides.map(({ run, step, prompt, tokens }) => ({ run, step, prompt, tokens })) }));
  replace(bodyOf(element), h("div", { class: "lab-controls" }, ...fields),
    h("div", { class: "lab-actions-row" }, go, stop,
      h("span", { class: "lab-note" },
        "goes on with the text at the left; two sides with the same seed where something is compared")), before,
    columns, menu);
  on((changed) => {
    if (changed.has("info")) ready();
    if (["info", "text", "tab"].some((name) => changed.has(name))) warn();
    if (!changed.has("hover")) age();
  });
  onTheme(() => columns.querySelectorAll("[data-p]").forEach(paint));
  ready();
  warn();

  // What would be left out of the prompt, before it is written with.
  async function warn() {
    const { run, step, tab } = state.selection, wanted = JSON.stringify([run, currentText()]);
    if (!state.info?.model || tab !== "generate" || wanted === warned) return;
    warned = wanted;
    let notes = [];
    try {
      notes = (await post("api/tokens", { run, step, text: currentText() })).prompt_notes;
    } catch (error) {
      notes = [`${error.message} (id ${error.id ?? "none"})`];
    }
    if (wanted === warned) replace(before, ...notes.map((note) => h("p", { class: "lab-warn" }, note)));
  }

  // What stands there may be of another selection by now.
  function age() {
    const other = sides.length
      && (sides[0].run !== state.selection.run || sides[0].step !== state.selection.step
        || sides[0].prompt !== currentText());
    root.querySelector(".lab-badge").textContent = other
      ? `written by step ${sides[0].step ?? "?"} of ${sides[0].run}${
        sides[0].prompt === currentText() ? "" : ", from another text"
      }`
      : "";
  }

  function ready() {
    go.disabled = !state.info?.model;
    if (!columns.children.length) rest();
  }

  function rest() {
    root.dataset.state = "empty";
    replace(columns, h("p", { class: "lab-message" }, state.info && !state.info.model
      ? "There are no weights to write with yet."
      : "Nothing written yet: “Generate” lets the model go on with the text."));
  }

  function settings() {
    const number = (name) => Number(inputs[name].value);
    return { max_tokens: number("max_tokens"), temperature: number("temperature"), seed: number("seed"),
      top_k: number("top_k") || null, top_p: number("top_p") < 1 ? number("top_p") : null, stop: inputs.stop.value };
  }

  // Both sides write the same text with the same settings; a branch is written anew on its own side alone.
  async function write(branched = null, after = [], kept = []) {
    running?.abort();
    const mine = (running = new AbortController()), text = currentText(), chosen = settings();
    menu.replaceChildren();
    root.dataset.state = "loading";
    stop.disabled = false;
    const fresh = branched === null
      ? (state.selection.compare ? ["a", "b"] : ["a"]).map(column)
      : [{ ...branched, ids: [], tokens: [], first: null }];
    if (branched === null) sides = fresh;
    else sides[sides.indexOf(branched)] = fresh[0];
    fresh.forEach((one) => replace(one.text));
    replace(columns, ...sides.map((one) => one.node));
    fresh.forEach((one) => {
      one.prompt ??= text;
    });
    age();
    // One after the other: they share the cores.
    for (const one of fresh) {
      if (!mine.signal.aborted) await follow(one, branched === null ? text : one.prompt, after, kept, chosen, mine);
    }
    if (running === mine) {
      running = null;
      stop.disabled = true;
    }
  }

  function column(side) {
    const { run, step } = asked(side), text = h("div", { class: "lab-writing", "aria-live": "off" }),
      foot = h("p", { class: "lab-note lab-foot", role: "status" });
    const name = `${run}${step === null || step === undefined ? "" : ` at step ${count(step)}`}`;
    return {
      node: h("div", { class: "lab-column", data: { side } },
        h("h3", {}, state.selection.compare ? `${side.toUpperCase()}: ${name}` : name), text, foot),
      run,
      step,
      text,
      foot,
      ids: [],
      tokens: [],
      first: null,
    };
  }

  async function follow(one, prompt, after, kept, chosen, mine) {
    const began = performance.now(), { run, step } = one;
    one.prompt = prompt;
    try {
      await stream("api/generate", { run, step, text: prompt, after, ...chosen }, mine.signal, (event) => {
        if (event.event === "start") {
          one.text.append(h("span", { class: "lab-prompt" }, prompt));
          kept.forEach((token, i) => add(one, { ...token, text: event.after[i] }));
          one.notes = event.notes.join(" ");
          one.foot.textContent = one.notes;
        } else if (event.event === "token") {
          one.first ??= performance.now() - began;
          add(one, event);
          const n = one.ids.length - kept.length;
          if (n > 1)
            one.foot.textContent = `${count(n)} tokens, ${
              fixed((1000 * (n - 1)) / (performance.now() - began - one.first), 0)
            } tokens/s so far`;
        } else if (event.event === "end") {
          root.dataset.state = "ready";
          one.text.dataset.text = event.text;
          one.foot.textContent = `${count(event.tokens)} tokens, ${
            fixed(event.tokens_per_second, 0)
          } tokens/s; the first after ${fixed(one.first, 0)} ms; ended: ${event.ended.replace("_", " ")}${
            one.notes ? `; ${one.notes}` : ""
          }`;
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
      replace(one.foot, h("b", {}, error.message), " ", error.id ? h("code", {}, `id ${error.id}`) : "", " ",
        h("button", { class: "lab-button", onclick: () => (after.length ? write(one, after, kept) : write()) },
          "Try again"));
    }
  }

  function add(one, token) {
    const position = one.ids.length;
    one.ids.push(token.id);
    one.tokens.push(token);
    const node = h("span", {
      class: "lab-written",
      role: "button",
      tabindex: 0,
      onkeydown: (event) => event.key === "Enter" && branch(one, position),
      data: { p: token.probability, id: token.id },
      "aria-label": `${token.label}, ${percent(token.probability)}`,
      onmouseenter: (event) =>
        showTip(event, `“${token.label}”`, [["the model gave it", percent(token.probability)], ["chance in the drawing",
          percent(token.chance)],
          ...token.alternatives.slice(0, 5).map((other) => [`instead: ${other.label}`, percent(other.probability)])]),
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
    const options = token.alternatives.map((other) =>
      h("button", { class: "lab-preset", onclick: () => {
        const kept = [...before, { ...token, id: other.id, label: other.label, probability: other.probability,
          chance: null }];
        write(one, kept.map((t) => t.id), kept);
      } }, `${other.label} ${percent(other.probability)}`)
    );
    replace(menu, h("b", {}, `Branch at “${token.label}”: go on with`), ...options,
      h("button", { class: "lab-button", onclick: () => menu.replaceChildren() }, "Close"),
      h("button", { class: "lab-button",
        onclick: () => select({ text: one.prompt + one.tokens.slice(0, position + 1).map((t) => t.text).join("") }) },
        "Look inside up to here"));
  }
}
