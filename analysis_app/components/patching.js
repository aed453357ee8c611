// Where is the difference between two texts? One activation of the first, put into the second: does its answer return?

import { paint, picture, prepare } from "./lib/canvas.js";
import { post } from "./lib/client.js";
import { css } from "./lib/colour.js";
import { choice, clip, fixed, h, hideTip, replace, showTip } from "./lib/dom.js";
import { actionsOf, panel } from "./lib/panel.js";
import { asked, currentText, on, option, preview, select, setOption, state } from "./lib/store.js";

const SITES = [["resid_pre", "stream before the layer"], ["attn_out", "what attention adds"], ["resid_mid",
  "stream after attention"], ["mlp_out", "what the MLP adds"], ["resid_post", "stream after the layer"]];
const LEFT = 60, ROW = 34, TYPING_MS = 350;

export function mount(element) {
  let view = null, cursor = null, cell = 20, timer = null, aligning = 0, aligned = null;
  const site = () => option("site", "resid_pre", (name) => SITES.some(([known]) => known === name));
  const text = h("textarea", { id: "lab-other-text", rows: 2, maxlength: 20000, spellcheck: "false",
    placeholder: "a second text that differs in one or a few tokens", oninput: typed });
  const tokens = h("div", { class: "lab-scroll", tabindex: 0, role: "region",
    "aria-label": "both texts as tokens, one above the other" });
  const canvas = h("canvas", { class: "lab-map", tabindex: 0, role: "application" }),
    title = h("p", { class: "lab-note" }),
    key = h("div", { class: "lab-key" }),
    words = h("p", { class: "lab-reading", "aria-live": "polite" });
  const found = panel(element, {
    request() {
      const other = option("other", "");
      align();
      if (!other) return "Type a second text: it has to have as many tokens as the first, each facing its counterpart.";
      return [["patching", { ...asked(), other, site: site() }, "long"]];
    },
    show(answer) {
      view = answer;
      draw();
    },
    update: (changed) => (["token", "hover"].some((name) => changed.has(name)) ? draw() : null),
    draw,
  });
  // The text box stays in every state of the panel: it is what leaves the others.
  const box = h("div", { class: "lab-field lab-fixed" },
    h("label", { class: "lab-name", for: "lab-other-text" }, "Second text (the first is at the left)"), text, tokens);
  found.body.before(box);
  replace(found.body, title, canvas, key, words);
  text.value = option("other", "");
  controls();
  on((changed) => {
    if (changed.has("site")) controls();
    if (changed.has("other") && document.activeElement !== text) text.value = option("other", "");
  });
  canvas.addEventListener("mousemove", (event) => point(event, at(event)));
  canvas.addEventListener("mouseleave", () => {
    cursor = null;
    preview({ token: null });
    hideTip();
  });
  canvas.addEventListener("click", (event) => {
    const place = at(event);
    if (place) select({ layer: place.layer, token: place.token });
  });
  canvas.addEventListener("keydown", move);

  function controls() {
    replace(actionsOf(element), h("button", { class: "lab-button", onclick: () => {
      text.value = currentText();
      text.focus();
    } }, "Copy the first text"), choice("Put in", SITES, site(), (name) => setOption("site", name, "resid_pre")));
  }

  function typed() {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => setOption("other", text.value || null), TYPING_MS);
  }

  // Both texts as tokens, one above the other: what stands in each column is exchanged.
  async function align() {
    const other = option("other", ""), { run, step } = state.selection,
      wanted = JSON.stringify([run, currentText(), other]);
    if (wanted === aligned) return;
    aligned = wanted;
    const mine = ++aligning;
    if (!other) return replace(tokens);
    try {
      const [first, second] = await Promise.all(
        [currentText(), other].map((t) => post("api/tokens", { run, step, text: t })),
      );
      if (mine !== aligning) return;
      const columns = [...Array(Math.max(first.tokens.length, second.tokens.length)).keys()];
      const row = (name, list) =>
        h("tr", {}, h("th", { scope: "row" }, `${name}: ${list.length}`), ...columns.map((i) =>
          h("td", { class: first.tokens[i] === second.tokens[i] ? null : "lab-differs" }, list[i] ?? "–")
        ));
      replace(tokens,
        h("table", { class: "lab-aligned" }, h("tbody", {}, row("first", first.tokens), row("second", second.tokens))));
    } catch (error) {
      if (mine === aligning) replace(tokens, h("p", { class: "lab-note" }, error.message));
    }
  }

  function draw() {
    const [layers, n] = view.restored.shape, values = view.restored.data;
    title.textContent = `${view.metric}: ${fixed(view.clean, 2)} after the first text, ${
      fixed(view.corrupt, 2)
    } after the second. Each cell: how much of that comes back.`;
    cell = Math.min(34, (found.body.clientWidth - LEFT - 6) / n);
    const image = picture(layers, n,
      (row, t) => ["div", 0.5 + 0.5 * Math.max(-1, Math.min(1, values[(layers - 1 - row) * n + t]))]);
    const longest = Math.max(...view.other.tokens.map((token) => Math.min(8, [...token].length)));
    const context = prepare(canvas, LEFT + cell * n + 2, ROW * layers + 14 + 7 * longest);
    context.imageSmoothingEnabled = false;
    context.drawImage(image, LEFT, 0, cell * n, ROW * layers);
    context.font = `11px ${css("--font-mono") || "monospace"}`;
    context.textBaseline = "middle";
    context.fillStyle = css("--lab-muted");
    for (let i = 0; i < layers; i++) context.fillText(`layer ${i}`, 0, ROW * (layers - 1 - i) + ROW / 2);
    const every = Math.ceil(8 / cell), chosen = cursor?.token ?? state.selection.token;
    for (let t = 0; t < n; t += every) {
      context.fillStyle = css(view.other.ids[t] === view.source.ids[t] ? "--lab-muted" : "--lab-mark");
      context.save();
      context.translate(LEFT + (t + 0.5) * cell, ROW * layers + 6);
      context.rotate(-Math.PI / 2);
      context.textAlign = "right";
      context.fillText(clip(view.other.tokens[t], 8), 0, 0);
      context.restore();
    }
    if (chosen !== null && chosen !== undefined && chosen < n) {
      context.strokeStyle = css("--lab-mark");
      context.lineWidth = cursor ? 1 : 2;
      const [top, tall] = cursor ? [ROW * (layers - 1 - cursor.layer), ROW] : [0, ROW * layers];
      context.strokeRect(LEFT + chosen * cell + 0.5, top + 0.5, Math.max(2, cell - 1), tall - 1);
    }
    canvas.setAttribute("aria-label", `share of the answer restored: ${layers} layers, ${n} tokens. Arrow keys move.`);
    const ramp = paint(h("canvas", { class: "lab-ramp", "aria-hidden": "true" }), 1, 64, (_, i) => ["div", i / 63]);
    replace(key, h("span", {}, "−1: pushed away"), ramp, h("span", {}, "1: all of it back"),
      h("span", { class: "lab-note" }, "0: nothing changes"));
    if (!cursor) words.textContent = "Point at a cell to read it; click to look at that layer and token.";
    found.root.dataset.answer = view.answer;
  }

  function at(event) {
    const area = canvas.getBoundingClientRect(), [layers, n] = view.restored.shape;
    const token = Math.floor((event.clientX - area.left - LEFT) / cell),
      layer = layers - 1 - Math.floor((event.clientY - area.top) / ROW);
    return token >= 0 && token < n && layer >= 0 && layer < layers ? { token, layer } : null;
  }

  function say() {
    const value = view.restored.data[cursor.layer * view.restored.shape[1] + cursor.token],
      pair = `“${view.source.tokens[cursor.token]}” into “${view.other.tokens[cursor.token]}”`;
    words.textContent = `layer ${cursor.layer}, token ${cursor.token}, ${pair}: ${fixed(value)} restored`;
    return [["restored", fixed(value)]];
  }

  function point(event, place) {
    if (place?.token === cursor?.token && place?.layer === cursor?.layer) return;
    cursor = place;
    preview({ token: place?.token ?? null });
    draw();
    if (!place) return hideTip();
    const rows = say();
    showTip(event, `layer ${place.layer}, token ${place.token}`, rows);
  }

  function move(event) {
    const step = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (event.key === "Enter" && cursor) return select({ layer: cursor.layer, token: cursor.token });
    if (!step) return;
    event.preventDefault();
    const [layers, n] = view.restored.shape, from = cursor ?? { layer: layers - 1, token: n };
    cursor = { layer: Math.min(layers - 1, Math.max(0, from.layer + step[0])),
      token: Math.min(n - 1, Math.max(0, from.token + step[1])) };
    draw();
    say();
  }
}
