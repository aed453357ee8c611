// Writing: streamed, each token coloured by its probability; hover tells the alternatives, a click branches.

import { idOf, messageOf, post, Refused, stream, wasAborted } from "./lib/client.js";
import { onTheme, worn } from "./lib/colour.js";
import { asOf, count, fixed, h, hideTip, percent, replace, showTip } from "./lib/dom.js";
import { numbersOf } from "./lib/export.js";
import { bodyOf, part } from "./lib/panel.js";
import { asked, contentOf, currentText, on, option, select, setOption, sourcesOf, state } from "./lib/store.js";

/** @type {[name: string, text: string, min: number, max: number, step: number, value: number][]} */
const SETTINGS = [
  ["max_tokens", "tokens", 1, 2000, 1, 120],
  ["temperature", "temperature", 0, 3, 0.05, 0.8],
  ["top_k", "top-k (0: all)", 0, 100000, 1, 0],
  ["top_p", "top-p (1: all)", 0.01, 1, 0.01, 1],
  ["seed", "seed", 0, 2 ** 32 - 1, 1, 1337],
];

/** @typedef {Lab.Written & { text: string }} Token */
/**
 * One side of what is written: A, or B where something is compared.
 * @typedef {{ node: HTMLElement, run: string | null, step: number | null, content: string, text: HTMLElement,
 *   foot: HTMLElement, prompt: string, notes: string, first: number | null, tokens: Token[] }} Side
 */
/** @typedef {{ on: Side, kept: Token[] }} Branch written anew from `kept`, on its own side alone */

/** @param {Element} element */
export const mount = (element) => new Writer(element);

class Writer {
  /** @type {AbortController | null} */
  #running = null;
  #warned = ""; // the prompt whose notes stand there
  /** @type {Side[]} */
  #sides = [];
  #form = settingsForm();
  #go = h("button", { class: "lab-button lab-primary", id: "lab-generate", onclick: () => void this.#write() },
    "Generate");
  #stop = h("button", { class: "lab-button", disabled: true, onclick: () => this.#running?.abort() }, "Stop");
  #before = h("div", { class: "lab-before-writing", role: "status" });
  #columns = h("div", { class: "lab-columns" });
  #menu = h("div", { class: "lab-menu" });

  /** @param {Element} element */
  constructor(element) {
    this.root = part(element, ".lab-panel");
    this.badge = part(element, ".lab-badge");
    numbersOf(this.root,
      () => ({ settings: this.#form.read(),
        written: this.#sides.map(({ run, step, prompt, tokens }) => ({ run, step, prompt, tokens })) }));
    replace(bodyOf(element), h("div", { class: "lab-controls" }, ...this.#form.fields),
      h("div", { class: "lab-actions-row" }, this.#go, this.#stop,
        h("span", { class: "lab-note" },
          "goes on with the text at the left; two sides with the same seed where something is compared")), this.#before,
      this.#columns, this.#menu);
    on((changed) => {
      if (changed.has("info")) this.#ready();
      if (["info", "text", "tab"].some((name) => changed.has(name))) this.#warn();
      if (!changed.has("hover")) this.#age();
    });
    onTheme(() => this.#columns.querySelectorAll("span").forEach(paint));
    this.#ready();
    this.#warn();
  }

  #ready() {
    const { info } = state;
    this.#go.disabled = !info?.model;
    if (this.#columns.children.length) return;
    this.root.dataset.state = "empty";
    replace(this.#columns, h("p", { class: "lab-message" }, info && !info.model
      ? "There are no weights to write with yet."
      : "Nothing written yet: “Generate” lets the model go on with the text."));
  }

  /** What would be left out of the prompt, before it is written with. */
  async #warn() {
    const { run, step, tab } = state.selection, text = currentText(), wanted = JSON.stringify([run, text]);
    if (!state.info?.model || tab !== "generate" || wanted === this.#warned) return;
    this.#warned = wanted;
    /** @type {string[]} */
    const notes = await post("api/tokens", { run, step, text }).then((found) => found.prompt_notes,
      (error) => [`${messageOf(error)} (id ${idOf(error) || "none"})`]);
    if (wanted === this.#warned) replace(this.#before, ...notes.map((note) => h("p", { class: "lab-warn" }, note)));
  }

  /** What stands there may be of another selection by now. */
  #age() {
    const [side] = this.#sides, { run, step } = state.selection, sameText = side?.prompt === currentText();
    const replaced = this.#sides.some((one) => one.content !== contentOf(one));
    this.badge.textContent = side && !(side.run === run && side.step === step && sameText && !replaced)
      ? `written by step ${side.step ?? "?"} of ${side.run}${sameText ? "" : ", from another text"}${
        replaced ? "; its weights are others by now" : ""
      }`
      : "";
  }

  // ---------------------------------------------------------------- writing

  /** Both sides write the same text with the same settings. @param {Branch | null} [branch] */
  async #write(branch = null) {
    this.#running?.abort();
    const mine = this.#running = new AbortController(), settings = this.#form.read();
    this.#menu.replaceChildren();
    this.root.dataset.state = "loading";
    this.#stop.disabled = false;
    const fresh = branch ? [{ ...branch.on, tokens: [], first: null }] : sidesOf();
    if (branch) this.#sides[this.#sides.indexOf(branch.on)] = fresh[0];
    else this.#sides = fresh;
    fresh.forEach((side) => replace(side.text));
    this.root.dataset.source = asOf(sourcesOf(this.#sides));
    replace(this.#columns, ...this.#sides.map((side) => side.node));
    this.#age();
    // One after the other: they share the cores.
    for (const side of fresh)
      if (!mine.signal.aborted) await this.#follow(side, branch?.kept ?? [], settings, mine.signal);
    if (this.#running !== mine) return;
    this.#running = null;
    this.#stop.disabled = true;
  }

  /**
   * @param {Side} side
   * @param {Token[]} kept of the text before a branch
   * @param {object} settings
   * @param {AbortSignal} signal
   */
  async #follow(side, kept, settings, signal) {
    const began = performance.now(), { run, step, prompt, foot } = side, after = kept.map((token) => token.id);
    try {
      await stream("api/generate", { run, step, text: prompt, after, ...settings }, signal, (event) => {
        if (event.event === "start") {
          side.text.append(h("span", { class: "lab-prompt" }, prompt));
          kept.forEach((token, i) => this.#add(side, { ...token, text: event.after[i] }));
          foot.textContent = side.notes = event.notes.join(" ");
        } else if (event.event === "token") {
          const seconds = (performance.now() - began - (side.first ??= performance.now() - began)) / 1000;
          this.#add(side, event);
          const n = side.tokens.length - kept.length;
          if (n > 1) foot.textContent = `${count(n)} tokens, ${fixed((n - 1) / seconds, 0)} tokens/s so far`;
        } else if (event.event === "end") {
          this.root.dataset.state = "ready";
          this.root.dataset.firstMs = fixed(side.first, 0);
          side.text.dataset.text = event.text;
          foot.textContent = ending(event, side);
        }
      });
    } catch (error) {
      if (wasAborted(error)) {
        this.root.dataset.state = "ready";
        foot.textContent = `stopped after ${count(side.tokens.length)} tokens`;
        return;
      }
      this.root.dataset.state = "error";
      if (!(error instanceof Refused)) console.error(error);
      const again = h("button", { class: "lab-button", onclick: () =>
        void this.#write(kept.length ? { on: side, kept } : null) }, "Try again");
      replace(foot, h("b", {}, messageOf(error)), " ", idOf(error) ? h("code", {}, `id ${idOf(error)}`) : "", " ",
        again);
    }
  }

  /** @param {Side} side @param {Token} token */
  #add(side, token) {
    const position = side.tokens.push(token) - 1, branch = () => this.#branch(side, position);
    const node = h("span", { class: "lab-written", role: "button", tabindex: 0,
      data: { p: token.probability, id: token.id }, "aria-label": `${token.label}, ${percent(token.probability)}`,
      onmouseenter: (event) => tell(event, token), onmouseleave: hideTip, onclick: branch,
      onkeydown: (event) => event.key === "Enter" && branch() }, token.text || "");
    paint(node);
    side.text.append(node);
  }

  /** What to go on with instead of a token. @param {Side} side @param {number} position */
  #branch(side, position) {
    hideTip();
    const token = side.tokens[position], before = side.tokens.slice(0, position);
    const options = token.alternatives.map((other) =>
      h("button", { class: "lab-preset", onclick: () =>
        void this.#write({ on: side, kept: [...before, { ...token, ...other, chance: null }] }) },
        `${other.label} ${percent(other.probability)}`)
    );
    replace(this.#menu, h("b", {}, `Branch at “${token.label}”: go on with`), ...options,
      h("button", { class: "lab-button", onclick: () => this.#menu.replaceChildren() }, "Close"),
      h("button", { class: "lab-button",
        onclick: () => select({ text: side.prompt + [...before, token].map((one) => one.text).join("") }) },
        "Look inside up to here"));
  }
}

// ---------------------------------------------------------------- settings and sides

/** The settings as fields, kept in the address, and what they are. */
function settingsForm() {
  /** @type {Record<string, HTMLInputElement>} */
  const inputs = {};
  const fields = SETTINGS.map(([name, text, min, max, step, value]) => {
    const input = inputs[name] = h("input", { type: "number", id: `lab-${name}`, min, max, step,
      value: option(name, value, (given) => Number.isFinite(Number(given))), onchange: () => {
        setOption(name, input.value, value);
      } });
    return h("label", { class: "lab-control" }, h("span", {}, text), input);
  });
  const stop = h("input", { type: "text", id: "lab-stop", maxlength: 200, placeholder: "none",
    value: option("stop", ""), onchange: () => {
      setOption("stop", stop.value, "");
    } });
  fields.push(h("label", { class: "lab-control" }, h("span", {}, "stop at the text"), stop));
  const read = () => {
    const [max_tokens, temperature, top_k, top_p, seed] = SETTINGS.map(([name]) => Number(inputs[name].value));
    return { max_tokens, temperature, seed, top_k: top_k || null, top_p: top_p < 1 ? top_p : null, stop: stop.value };
  };
  return { fields, read };
}

/** @returns {Side[]} */
function sidesOf() {
  const { compare } = state.selection, prompt = currentText();
  return /** @type {("a" | "b")[]} */ (compare ? ["a", "b"] : ["a"]).map((side) => {
    const { run, step } = asked(side), name = `${run}${step === null ? "" : ` at step ${count(step)}`}`;
    const text = h("div", { class: "lab-writing", "aria-live": "off" });
    const foot = h("p", { class: "lab-note lab-foot", role: "status" });
    const node = h("div", { class: "lab-column", data: { side } },
      h("h3", {}, compare ? `${side.toUpperCase()}: ${name}` : name), text, foot);
    return { node, run, step, content: contentOf({ run, step }), text, foot, prompt, notes: "", first: null,
      tokens: [] };
  });
}

// ---------------------------------------------------------------- words

/** @param {{ tokens: number, tokens_per_second: number, ended: string }} event @param {Side} side */
function ending({ tokens, tokens_per_second: speed, ended }, { first, notes }) {
  return `${count(tokens)} tokens, ${fixed(speed, 0)} tokens/s; the first after ${fixed(first, 0)} ms; ended: ${
    ended.replace("_", " ")
  }${notes ? `; ${notes}` : ""}`;
}

/** @param {MouseEvent} event @param {Token} token */
const tell = (event, { label, probability, chance, alternatives }) =>
  showTip(event, `“${label}”`, [["the model gave it", percent(probability)], ["chance in the drawing", percent(chance)],
    ...alternatives.slice(0, 5).map((
      other,
    ) => /** @type {Lab.Row} */ ([`instead: ${other.label}`, percent(other.probability)]))]);

/** Surprising tokens stand out; what was expected stays plain. @param {HTMLElement} node */
function paint({ style, dataset }) {
  if (dataset.p === undefined) return;
  Object.assign(style, worn("warm", Math.min(1, -Math.log(Math.max(1e-9, Number(dataset.p))) / 6)));
}
