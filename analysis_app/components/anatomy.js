// The model as its data flows, from top to bottom: the residual stream is a line, each branch leaves it and comes back.
// One block, that of the selected layer, is drawn whole; one part at a time is open. Arrow keys move, Esc closes.

import { count, fixed, h, percent, replace } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { head } from "./lib/patterns.js";
import { sheet, thumbnail } from "./lib/sheet.js";
import { brackets, guesses, inside, parameters } from "./lib/station.js";
import { asked, currentToken, lockHead, preview, select, state } from "./lib/store.js";

const GLYPHS = { text: "A", tokens: "#", embed: "E", pos: "P", start: "+", ln1: "÷", ln2: "÷", ln_final: "÷", attn: "⇠",
  mlp: "ƒ", add1: "+", add2: "+", logits: "≡", probabilities: "%" };
const KINDS = [["embeddings", ["embed", "pos", "logits"]], ["attention", ["attn"]], ["MLPs", ["mlp"]], ["norms", ["ln1",
  "ln2", "ln_final"]]];
const SMALL = 24, LARGE = 48;

export function mount(element) {
  let view = null, patterns = null;
  const share = h("div", { class: "lab-share" }), flow = h("ol", { class: "lab-flow" });
  const found = panel(element, {
    request: () => [["anatomy", asked()], ["attention", asked()]],
    show(answer, attention) {
      [view, patterns] = [answer, attention];
      build();
    },
    update(changed) {
      if (["layer", "part"].some((name) => changed.has(name))
        || (changed.has("head") && state.selection.part === "attn")) build();
      else if (changed.has("head") || changed.has("lock")) markHeads();
      if (changed.has("token") || changed.has("hover")) markToken(changed.has("token"));
    },
    draw: build,
  });
  replace(found.body, share, flow);
  flow.addEventListener("keydown", move);

  function build() {
    const focus = flow.contains(document.activeElement) ? document.activeElement.dataset.at : null;
    const parts = view.parts, open = state.selection.layer, first = parts.findIndex((part) => part.layer !== null);
    const outside = (from, to) => parts.slice(from, to).filter((part) => part.layer === null).map(station);
    const blocks = Array.from({ length: view.n_layers },
      (_, layer) => block(layer, parts.filter((part) => part.layer === layer), layer === open));
    replace(flow, ...outside(0, first), ...blocks, ...outside(first, parts.length));
    shares();
    markHeads();
    markToken();
    if (focus) flow.querySelector(`[data-at="${focus}"]`)?.focus();
    found.root.dataset.open = state.selection.part ?? "";
    found.root.dataset.layer = open;
  }

  function shares() {
    const sums = KINDS.map((
      [name, keys],
    ) => [name,
      view.parts.filter((part) => keys.includes(part.key)).reduce((sum, part) => sum + part.n_parameters, 0)]
    );
    replace(share,
      h("div", { class: "lab-share-bar", "aria-hidden": "true" },
        ...sums.map(([name, n]) => h("i", { data: { kind: name }, style: { flexGrow: String(n) } }))),
      h("p", {}, h("b", { data: { fact: "total" } }, `${count(view.n_parameters)} parameters`),
        ...sums.map(([name, n]) => h("span", { data: { kind: name } }, `${name} ${percent(n / view.n_parameters)}`))));
  }

  // ---------------------------------------------------------------- blocks

  function block(layer, parts, open) {
    const norm = (key) => mean(parts.find((part) => part.key === key).numbers.norms.data);
    const said = open
      ? "attention gathers, then the MLP works on each position alone"
      : `attention adds ${fixed(norm("attn"), 1)}, the MLP ${fixed(norm("mlp"), 1)} (mean length)`;
    const title = h("button", { class: "lab-block-head", "aria-expanded": String(open), data: { at: `block-${layer}` },
      onclick: () => select({ layer }) }, h("b", {}, `Block ${layer}`), h("span", {}, said));
    const top = h("div", { class: "lab-block-top" }, title, open ? null : heads(layer, SMALL));
    return h("li", { class: open ? "lab-block lab-open" : "lab-block", data: { block: layer } }, top,
      open ? h("ol", {}, ...parts.map(station)) : null);
  }

  function heads(layer, side) {
    const n = patterns.patterns.shape[2], all = patterns.patterns.shape[1];
    return h("div", { class: "lab-mini-heads", role: "group", "aria-label": `heads of layer ${layer}`,
      style: { "--side": `${side}px` } }, ...Array.from({ length: all }, (_, index) => {
        const canvas = h("canvas", { "aria-hidden": "true" });
        thumbnail(canvas, head(patterns, layer, index), n, side === SMALL ? 24 : 64);
        return h("button", {
          class: "lab-mini-head",
          title: `layer ${layer}, head ${index}`,
          "aria-label": `layer ${layer}, head ${index}`,
          data: { at: `head-${layer}-${index}`, layer, head: index },
          onclick: () => pick(layer, index),
          onmouseenter: () => preview({ layer, head: index }),
          onmouseleave: () => preview({ layer: null, head: null }),
        }, canvas, side === SMALL ? null : h("small", {}, String(index)));
      }));
  }

  function pick(layer, index) {
    lockHead(true);
    select({ layer, head: index });
  }

  // ---------------------------------------------------------------- stations

  function station(part, i, among) {
    const open = state.selection.part === part.key, { title, gist } = part.words;
    const fork = part.lane === "branch" && part.key !== "pos" && among[i - 1]?.lane !== "branch",
      size = part.shape.length ? brackets(part.shape) : "";
    const button = h("button", { class: "lab-station-head", "aria-expanded": String(open), data: { at: part.key },
      onclick: () => select({ part: open ? null : part.key }) }, h("b", {}, title), h("span", {}, gist),
      h("small", {}, [size, part.n_parameters ? parameters(part.n_parameters) : ""].filter(Boolean).join(" · ")));
    return h("li", { class: open ? "lab-station lab-open" : "lab-station",
      data: { key: part.key, lane: part.lane, ...(fork ? { fork: "yes" } : {}) } },
      h("span", { class: "lab-node", "aria-hidden": "true" }, GLYPHS[part.key]), button, picture(part),
      open ? inside(part, view) : null);
  }

  function picture(part) {
    if (part.key === "attn") return heads(part.layer, LARGE);
    if (part.key === "probabilities") return h("div", { class: "lab-next" }, guesses(view, 3));
    return part.numbers ? sheet(part.numbers, view.source.tokens, part.words.title) : null;
  }

  // ---------------------------------------------------------------- selection

  function markHeads() {
    const { layer, head: index } = state.selection;
    flow.querySelectorAll(".lab-mini-head").forEach((node) => {
      const chosen = Number(node.dataset.layer) === layer && Number(node.dataset.head) === index;
      node.classList.toggle("lab-chosen", chosen);
      node.setAttribute("aria-pressed", String(chosen));
      // One stop of the Tab key a layer; arrows go on from there.
      node.tabIndex = chosen || (Number(node.dataset.layer) !== layer && node.dataset.head === "0") ? 0 : -1;
    });
  }

  // The pinned column is drawn by CSS; what is said about it is said anew.
  function markToken(pinned = false) {
    const n = view.source.tokens.length, token = currentToken();
    flow.style.setProperty("--tokens", n);
    flow.style.setProperty("--token", token ?? -1);
    flow.classList.toggle("lab-has-token", token !== null && token < n);
    flow.querySelectorAll(".lab-guesses").forEach((node) =>
      node.replaceWith(guesses(view, node.closest(".lab-next") ? 3 : 10))
    );
    if (pinned)
      flow.querySelectorAll(".lab-sizes [data-fact=norm]").forEach((node) => {
        const part = view.parts.find((one) =>
          one.key === state.selection.part && [null, state.selection.layer].includes(one.layer)
        );
        const at = Math.min(n - 1, token ?? n - 1);
        node.textContent = fixed(part.numbers.norms.data[at]);
        node.nextSibling.textContent = `at token ${at}; L2 norm`;
      });
  }

  function move(event) {
    const { at } = event.target.dataset;
    if (event.key === "Escape" && state.selection.part !== null) {
      event.preventDefault();
      const back = state.selection.part;
      select({ part: null });
      flow.querySelector(`[data-at="${back}"]`)?.focus();
    }
    if (!at) return;
    const beside = { ArrowLeft: -1, ArrowRight: 1 }[event.key], along = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (at.startsWith("head-")) {
      const layer = Number(event.target.dataset.layer) + (along ?? 0),
        index = Number(event.target.dataset.head) + (beside ?? 0);
      if ((!beside && !along) || layer < 0 || layer >= view.n_layers || index < 0 || index >= view.n_heads) return;
      event.preventDefault();
      pick(layer, index);
      flow.querySelector(`[data-at="head-${layer}-${index}"]`)?.focus();
    } else if (along) {
      event.preventDefault();
      const all = [...flow.querySelectorAll(".lab-station-head, .lab-block-head")];
      all[all.indexOf(event.target) + along]?.focus();
    }
  }
}

const mean = (values) => values.reduce((sum, x) => sum + x, 0) / values.length;
