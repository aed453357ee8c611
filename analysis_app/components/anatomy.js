// The model as its data flows, from top to bottom: the residual stream is a line, each branch leaves it and comes back.
// One block, that of the selected layer, is drawn whole; one part at a time is open. Arrow keys move, Esc closes.

import { brackets, GUESSED, guesses, inside, lengthOf, parameters } from "./anatomy/part.js";
import { count, fixed, h, percent, replace } from "./lib/dom.js";
import { arrow } from "./lib/grid.js";
import { panel } from "./lib/panel.js";
import { head } from "./lib/patterns.js";
import { asked, currentToken, preview, select, selectHead, state } from "./lib/store.js";
import { thumbnail, tokenPicture } from "./lib/token_picture.js";

/** @type {Record<string, string>} */
const GLYPHS = { text: "A", tokens: "#", embed: "E", pos: "P", start: "+", ln1: "÷", ln2: "÷", ln_final: "÷", attn: "⇠",
  mlp: "ƒ", add1: "+", add2: "+", logits: "≡", probabilities: "%" };
/** @type {[name: string, parts: string[]][]} */
const KINDS = [["embeddings", ["embed", "pos", "logits"]], ["attention", ["attn"]], ["MLPs", ["mlp"]], ["norms", ["ln1",
  "ln2", "ln_final"]]];
const SMALL = 24, LARGE = 48, FEW = 3;

/** @typedef {{ view: Lab.AnatomyView, patterns: Lab.AttentionView }} Answers */

/** @param {Element} element */
export function mount(element) {
  /** @type {Answers} */
  let answers;
  const share = h("div", { class: "lab-share" });
  const flow = h("ol", { class: "lab-flow", onkeydown: (event) => {
    move(event, flow, answers.view);
  } });
  const found = panel(element, {
    request: () => [["anatomy", asked()], ["attention", asked()]],
    show(view, patterns) {
      answers = { view, patterns };
      build();
    },
    update(changed) {
      if (["layer", "part"].some((name) => changed.has(name))
        || (changed.has("head") && state.selection.part === "attn")) build();
      else if (changed.has("head") || changed.has("lock")) markHeads(flow);
      if (changed.has("token") || changed.has("hover")) markToken(flow, answers.view, changed.has("token"));
    },
    draw: build,
  });
  replace(found.body, share, flow);

  function build() {
    const focused = document.activeElement, { view } = answers, { layer: open, part } = state.selection;
    const focus = focused instanceof HTMLElement && flow.contains(focused) ? focused.dataset.at : null;
    const first = view.parts.findIndex((part) => part.layer !== null);
    /** @param {number} from @param {number} [to] */
    const outside = (from, to) =>
      view.parts.slice(from, to).filter((part) => part.layer === null).map((part, i, among) =>
        station(answers, part, among[i - 1])
      );
    const blocks = Array.from({ length: view.n_layers }, (_, layer) => block(answers, layer, layer === open));
    replace(flow, ...outside(0, first), ...blocks, ...outside(first));
    replace(share, ...shares(view));
    markHeads(flow);
    markToken(flow, view);
    if (focus) focusOn(flow, focus);
    found.root.dataset.open = part ?? "";
    found.root.dataset.layer = String(open);
  }
}

/** How the parameters are shared among the kinds of part. @param {Lab.AnatomyView} view */
function shares({ parts, n_parameters: total }) {
  const sums = KINDS.map(([name, keys]) => ({ name,
    n: parts.filter((part) => keys.includes(part.key)).reduce((sum, part) => sum + part.n_parameters, 0) })
  );
  return [
    h("div", { class: "lab-share-bar", "aria-hidden": "true" },
      ...sums.map(({ name, n }) => h("i", { data: { kind: name }, style: { flexGrow: String(n) } }))),
    h("p", {}, h("b", { data: { fact: "total" } }, `${count(total)} parameters`),
      ...sums.map(({ name, n }) => h("span", { data: { kind: name } }, `${name} ${percent(n / total)}`))),
  ];
}

// ---------------------------------------------------------------- blocks

/** @param {Answers} answers @param {number} layer @param {boolean} open */
function block(answers, layer, open) {
  const parts = answers.view.parts.filter((part) => part.layer === layer);
  /** The mean length of what a part adds. @param {string} key */
  const adds = (key) => {
    const norms = parts.find((part) => part.key === key)?.numbers?.norms.data ?? new Float32Array();
    return fixed(norms.reduce((sum, x) => sum + x, 0) / norms.length, 1);
  };
  const said = open
    ? "attention gathers, then the MLP works on each position alone"
    : `attention adds ${adds("attn")}, the MLP ${adds("mlp")} (mean length)`;
  const title = h("button", { class: "lab-block-head", "aria-expanded": String(open), data: { at: `block-${layer}` },
    onclick: () => select({ layer }) }, h("b", {}, `Block ${layer}`), h("span", {}, said));
  return h("li", { class: open ? "lab-block lab-open" : "lab-block", data: { block: layer } },
    h("div", { class: "lab-block-top" }, title, open ? null : heads(answers.patterns, layer, SMALL)),
    open ? h("ol", {}, ...parts.map((part, i) => station(answers, part, parts[i - 1]))) : null);
}

/** @param {Lab.AttentionView} patterns @param {number} layer @param {number} side in pixels */
function heads(patterns, layer, side) {
  const [, all, n] = patterns.patterns.shape;
  return h("div", { class: "lab-mini-heads", role: "group", "aria-label": `heads of layer ${layer}`,
    style: { "--side": `${side}px` } }, ...Array.from({ length: all }, (_, index) => {
      const canvas = h("canvas", { "aria-hidden": "true" }), name = `layer ${layer}, head ${index}`;
      thumbnail(canvas, head(patterns, layer, index), n, side === SMALL ? 24 : 64);
      return h("button", { class: "lab-mini-head", title: name, "aria-label": name,
        data: { at: `head-${layer}-${index}`, layer, head: index }, onclick: () => selectHead(layer, index),
        onmouseenter: () => preview({ layer, head: index }), onmouseleave: () => preview({ layer: null, head: null }) },
        canvas, side === SMALL ? null : h("small", {}, String(index)));
    }));
}

// ---------------------------------------------------------------- parts

/** @param {Answers} answers @param {Lab.AnatomyPart} part @param {Lab.AnatomyPart} [before] the part above */
function station(answers, part, before) {
  const { key, lane, shape, words: { title, gist }, n_parameters: n } = part, open = state.selection.part === key;
  const fork = lane === "branch" && key !== "pos" && before?.lane !== "branch";
  const button = h("button", { class: "lab-station-head", "aria-expanded": String(open), data: { at: key },
    onclick: () => select({ part: open ? null : key }) }, h("b", {}, title), h("span", {}, gist),
    h("small", {}, [shape.length ? brackets(shape) : "", n ? parameters(n) : ""].filter(Boolean).join(" · ")));
  return h("li", { class: open ? "lab-station lab-open" : "lab-station",
    data: { key, lane, ...(fork ? { fork: "yes" } : {}) } },
    h("span", { class: "lab-node", "aria-hidden": "true" }, GLYPHS[key]), button, picture(answers, part),
    open ? inside(part, answers.view) : null);
}

/** @param {Answers} answers @param {Lab.AnatomyPart} part */
function picture({ view, patterns }, { key, layer, numbers, words }) {
  if (key === "attn") return heads(patterns, layer ?? 0, LARGE);
  if (key === "probabilities") return h("div", { class: "lab-next" }, guesses(view, FEW));
  return numbers ? tokenPicture(numbers, view.source.tokens, words.title) : null;
}

// ---------------------------------------------------------------- selection

/** @param {HTMLElement} node @returns {[layer: number, head: number]} */
const headOf = ({ dataset }) => [Number(dataset.layer), Number(dataset.head)];
/** @param {ParentNode} flow @returns {NodeListOf<HTMLElement>} */
const headsIn = (flow) => flow.querySelectorAll(".lab-mini-head");

/** @param {HTMLElement} flow */
function markHeads(flow) {
  const { layer, head: index } = state.selection;
  headsIn(flow).forEach((node) => {
    const [l, i] = headOf(node), chosen = l === layer && i === index;
    node.classList.toggle("lab-chosen", chosen);
    node.setAttribute("aria-pressed", String(chosen));
    // One stop of the Tab key a layer; arrows go on from there.
    node.tabIndex = chosen || (l !== layer && i === 0) ? 0 : -1;
  });
}

/**
 * The pinned column is drawn by CSS; what is said about it is said anew.
 * @param {HTMLElement} flow
 * @param {Lab.AnatomyView} view
 * @param {boolean} [pinned] whether the numbers of the open part follow
 */
function markToken(flow, view, pinned = false) {
  const n = view.source.tokens.length, token = currentToken(), { part: open, layer } = state.selection;
  flow.style.setProperty("--tokens", String(n));
  flow.style.setProperty("--token", String(token ?? -1));
  flow.classList.toggle("lab-has-token", token !== null && token < n);
  flow.querySelectorAll(".lab-guesses").forEach((node) =>
    node.replaceWith(guesses(view, node.closest(".lab-next") ? FEW : GUESSED))
  );
  const numbers = view.parts.find((one) => one.key === open && [null, layer].includes(one.layer))?.numbers;
  const norm = flow.querySelector(".lab-sizes [data-fact=norm]");
  if (!pinned || !numbers || !norm) return;
  const { value, where } = lengthOf(numbers);
  norm.textContent = value;
  if (norm.nextSibling) norm.nextSibling.textContent = where;
}

/** @param {HTMLElement} flow @param {string} at */
function focusOn(flow, at) {
  const node = flow.querySelector(`[data-at="${at}"]`);
  if (node instanceof HTMLElement) node.focus();
}

/** @param {KeyboardEvent} event @param {HTMLElement} flow @param {Lab.AnatomyView} view */
function move(event, flow, view) {
  const { target, key } = event, { part } = state.selection, way = arrow(event);
  if (key === "Escape" && part !== null) {
    event.preventDefault();
    select({ part: null });
    focusOn(flow, part);
  }
  if (!(target instanceof HTMLElement) || !target.dataset.at || !way) return;
  if (target.matches(".lab-mini-head")) {
    const [fromLayer, fromHead] = headOf(target), layer = fromLayer + way.row, index = fromHead + way.column;
    if (layer < 0 || layer >= view.n_layers || index < 0 || index >= view.n_heads) return;
    event.preventDefault();
    selectHead(layer, index);
    focusOn(flow, `head-${layer}-${index}`);
  } else if (way.row) {
    event.preventDefault();
    /** @type {NodeListOf<HTMLElement>} */
    const all = flow.querySelectorAll(".lab-station-head, .lab-block-head");
    all[[...all].indexOf(target) + way.row]?.focus();
  }
}
