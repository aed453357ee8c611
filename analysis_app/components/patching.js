// Where is the difference between two texts? One activation of the first, put into the second: does its answer return?

import { keyOf } from "./lib/canvas.js";
import { messageOf, post } from "./lib/client.js";
import { choice, fixed, h, replace } from "./lib/dom.js";
import { drawLayers, frame, Grid } from "./lib/grid.js";
import { actionsOf, panel } from "./lib/panel.js";
import { SITE_NAMES } from "./lib/site_names.js";
import { asked, currentText, on, option, select, setOption, state } from "./lib/store.js";

const ROW = 34, TYPING_MS = 350;

const site = () => option("site", "resid_pre", (name) => name in SITE_NAMES);
const other = () => option("other", "");

/** @param {Element} element */
export function mount(element) {
  /** @type {Lab.PatchingView} */
  let view;
  const second = secondText();
  const title = h("p", { class: "lab-note" }), key = h("div", { class: "lab-key" });
  /** @param {import("./lib/grid.js").Place} place */
  const at = ({ row, column }) => ({ layer: view.restored.shape[0] - 1 - row, token: column });
  const grid = new Grid({
    draw,
    read: (place) => reading(view, at(place)),
    hover: (place) => ({ token: place?.column ?? null }),
    pick: (place) => select(at(place)),
    start: () => ({ row: 0, column: view.restored.shape[1] }),
  });
  const found = panel(element, {
    request() {
      second.align();
      if (!other())
        return "Type a second text: it has to have as many tokens as the first, each facing its counterpart.";
      return [["patching", { ...asked(), other: other(), site: site() }, "long"]];
    },
    show(answer) {
      view = answer;
      draw();
    },
    update: (changed) => (["token", "hover"].some((name) => changed.has(name)) ? draw() : null),
    draw,
  });
  // The text box stays in every state of the panel: it is what leaves the others.
  found.body.before(second.box);
  replace(found.body, title, grid.canvas, key, grid.words);
  controls();
  on((changed) => changed.has("site") && controls());

  function controls() {
    replace(actionsOf(element), h("button", { class: "lab-button", onclick: second.copy }, "Copy the first text"),
      choice("Put in", Object.entries(SITE_NAMES), site(), (name) => setOption("site", name, "resid_pre")));
  }

  function draw() {
    const [layers, n] = view.restored.shape, { cursor } = grid, chosen = cursor?.column ?? state.selection.token;
    title.textContent = `${view.metric}: ${fixed(view.clean, 2)} after the first text, ${
      fixed(view.corrupt, 2)
    } after the second. Each cell: how much of that comes back.`;
    const context = drawLayers(grid, { room: found.body.clientWidth, height: ROW, layers, tokens: view.other.tokens,
      chosen: null, shade: (layer, t) => ["div", 0.5 + 0.5 * view.restored.data[layer * n + t]],
      ink: (t) => (view.other.ids[t] === view.source.ids[t] ? "--lab-muted" : "--lab-mark") });
    if (chosen !== null && chosen < n) {
      const { left, width } = grid.layout, x = left + chosen * width;
      frame(context, cursor ? [x, ROW * cursor.row, width, ROW] : [x, 0, width, ROW * layers], !cursor);
    }
    grid.canvas.setAttribute("aria-label",
      `share of the answer restored: ${layers} layers, ${n} tokens. Arrow keys move.`);
    replace(key, ...keyOf("−1: pushed away", "div", "1: all of it back", "0: nothing changes"));
    grid.rest("Point at a cell to read it; click to look at that layer and token.");
    found.root.dataset.answer = view.answer;
  }
}

/**
 * @param {Lab.PatchingView} view
 * @param {{ layer: number, token: number }} place
 * @returns {import("./lib/grid.js").Reading}
 */
function reading(view, { layer, token }) {
  const value = fixed(view.restored.data[layer * view.restored.shape[1] + token]),
    title = `layer ${layer}, token ${token}`;
  const pair = `“${view.source.tokens[token]}” into “${view.other.tokens[token]}”`;
  return { title, rows: [["restored", value]], words: `${title}, ${pair}: ${value} restored` };
}

// ---------------------------------------------------------------- the second text

/** A box to type it in, and both texts as tokens, one above the other: what stands in a column is exchanged. */
function secondText() {
  let timer = 0, aligning = 0, aligned = "";
  const text = h("textarea", { id: "lab-other-text", rows: 2, maxlength: 20000, spellcheck: "false",
    placeholder: "a second text that differs in one or a few tokens", oninput: () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(() => setOption("other", text.value || null), TYPING_MS);
    } });
  const tokens = h("div", { class: "lab-scroll", tabindex: 0, role: "region",
    "aria-label": "both texts as tokens, one above the other" });
  const box = h("div", { class: "lab-field lab-fixed" },
    h("label", { class: "lab-name", for: "lab-other-text" }, "Second text (the first is at the left)"), text, tokens);
  text.value = other();
  on((changed) => {
    if (changed.has("other") && document.activeElement !== text) text.value = other();
  });

  function copy() {
    text.value = currentText();
    text.focus();
  }

  async function align() {
    const { run, step } = state.selection, texts = [currentText(), other()], wanted = JSON.stringify([run, texts]);
    if (wanted === aligned) return;
    aligned = wanted;
    const mine = ++aligning;
    if (!other()) return void replace(tokens);
    try {
      const [a, b] = await Promise.all(texts.map((one) => post("api/tokens", { run, step, text: one })));
      if (mine === aligning) replace(tokens, alignedTable(a.tokens, b.tokens));
    } catch (error) {
      if (mine === aligning) replace(tokens, h("p", { class: "lab-note" }, messageOf(error)));
    }
  }

  return { box, align, copy };
}

/** @param {string[]} first @param {string[]} second */
function alignedTable(first, second) {
  const columns = [...Array(Math.max(first.length, second.length)).keys()];
  /** @param {string} name @param {string[]} tokens */
  const row = (name, tokens) =>
    h("tr", {}, h("th", { scope: "row" }, `${name}: ${tokens.length}`), ...columns.map((i) =>
      h("td", { class: first[i] === second[i] ? null : "lab-differs" }, tokens[i] ?? "–")
    ));
  return h("table", { class: "lab-aligned" }, h("tbody", {}, row("first", first), row("second", second)));
}
