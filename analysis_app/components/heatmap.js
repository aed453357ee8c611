// One head, large: rows are queries, columns are the keys they read from. Hover previews a row, click locks it.

import { paint, paintPattern, picture, prepare } from "./lib/canvas.js";
import { css } from "./lib/colour.js";
import { choice, clip, fixed, h, hideTip, replace, showTip } from "./lib/dom.js";
import { actionsOf, of, panel } from "./lib/panel.js";
import { average, head, probability, sameTokens } from "./lib/patterns.js";
import { currentHead, currentToken, option, preview, select, setOption, state } from "./lib/store.js";

const SCALES = { root: "square root", linear: "linear", row: "largest of each row" };
const SHOWN = { head: "this head", average: "mean of the layer", difference: "A − B",
  "average-difference": "A − B of the means" };
const LARGEST = 760, GUTTER = 76, LEGIBLE = 8;

export const mount = (element) => heatMap(element, { request: of("attention", true) });

// `source`: { request, ask (both as lib/panel.js says), fixed: one scale for all that is shown, so none by the row }.
// Returns { show(view), refresh() } for a source whose numbers change by themselves.
export function heatMap(element, source) {
  const scales = Object.fromEntries(Object.entries(SCALES).filter(([name]) => name !== "row" || !source.fixed)),
    still = document.createElement("canvas");
  let a = null, b = null, n = 0, cell = 8, gutter = GUTTER, cursor = null, image = null;
  let scale = option("scale", "root", (name) => name in scales), offered = "",
    what = option("pattern", "head", (name) => name in SHOWN);
  const canvas = h("canvas", { class: "lab-map", tabindex: 0, role: "application",
    "aria-roledescription": "attention pattern" });
  const words = h("p", { class: "lab-reading", "aria-live": "polite" }), chips = h("div", { class: "lab-chips" });
  const key = h("div", { class: "lab-key" });

  const found = panel(element, {
    ...source,
    show,
    update(changed) {
      if (["layer", "head", "hover", "lock"].some((name) => changed.has(name))) render();
      else if (changed.has("token")) draw();
    },
    draw: render,
  });
  replace(found.body, chips, canvas, key, words);
  canvas.addEventListener("mousemove", (event) => point(event, at(event)));
  canvas.addEventListener("mouseleave", () => {
    cursor = null;
    preview({ token: null, key: null });
    hideTip();
  });
  canvas.addEventListener("click", (event) => lock(at(event)));
  canvas.addEventListener("keydown", move);
  return { show, refresh: found.refresh };

  function show(first, second = null) {
    const why = second ? mismatch(first, second) : null;
    [a, b] = [first, second && !why ? second : null];
    n = a.source.tokens.length;
    controls(why);
    render();
  }

  function controls(why) {
    const shown = ["head", "average", ...(b ? ["difference", "average-difference"] : [])];
    if (b && option("pattern", null) === null) what = "difference";
    if (!shown.includes(what)) what = what.startsWith("average") ? "average" : "head";
    // The same choices stay: a list that is open must not be taken away.
    if (offered === (offered = JSON.stringify([shown, what, why]))) return;
    replace(actionsOf(element), choice("Show", shown.map((name) => [name, SHOWN[name]]), what, (value) => {
      what = value;
      setOption("pattern", value);
      render();
    }), choice("Scale", Object.entries(scales), scale, (value) => {
      scale = value;
      setOption("scale", value, "root");
      render();
    }), why ? h("span", { class: "lab-warn" }, why) : null);
  }

  function bytes(view) {
    const { layer, head: index } = currentHead();
    return what.startsWith("average") ? average(view, layer) : head(view, layer, index);
  }

  function render() {
    const began = performance.now(), mine = bytes(a), other = what.endsWith("difference") && b ? bytes(b) : null;
    const largest = new Float32Array(n).fill(1);
    if (scale === "row") {
      for (let q = 0; q < n; q++)
        largest[q] = Math.max(1e-9, probability(Math.max(...mine.subarray(q * n, q * n + q + 1))));
    }
    const value = (p, q) => (scale === "linear" ? p : Math.sqrt(p / largest[q]));
    if (!other && scale !== "row") image = paintPattern(still, mine, n, scale === "linear");
    else image = picture(n, n, (q, k) => {
        if (k > q) return null;
        const p = probability(mine[q * n + k]);
        if (!other) return ["seq", value(p, q)];
        const d = p - probability(other[q * n + k]);
        return ["div", 0.5 + 0.5 * Math.sign(d) * Math.sqrt(Math.abs(d))];
      });
    draw();
    tellHead();
    found.root.dataset.drawMs = (performance.now() - began).toFixed(2);
  }

  function draw() {
    const room = Math.max(160, Math.min(LARGEST, found.body.clientWidth - 4));
    const longest = Math.max(...a.source.tokens.map((token) => [...token].length));
    gutter = Math.min(GUTTER, 14 + 6.4 * Math.min(9, longest));
    cell = Math.min(34, (room - gutter) / n);
    if (cell >= 3) cell = Math.floor(cell);
    const side = cell * n, context = prepare(canvas, gutter + side, gutter + side);
    context.fillStyle = css("--lab-masked");
    context.fillRect(gutter, gutter, side, side);
    context.imageSmoothingEnabled = cell < 1;
    context.drawImage(image, gutter, gutter, side, side);
    labels(context, longest);
    const row = cursor?.query ?? currentToken();
    if (row !== null && row < n)
      frame(context, gutter, gutter + row * cell, (row + 1) * cell, cell, state.selection.token === row);
    const column = cursor?.key ?? state.hover.key ?? null;
    if (column !== null && column < n)
      frame(context, gutter + column * cell, gutter + column * cell, cell, (n - column) * cell, false);
  }

  function frame(context, x, y, width, height, locked) {
    context.strokeStyle = css("--lab-mark");
    context.lineWidth = locked ? 2 : 1;
    context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  }

  function labels(context, longest) {
    const row = cursor?.query ?? currentToken(), column = cursor?.key ?? null;
    const size = Math.min(12, Math.max(9, cell)), every = Math.ceil(LEGIBLE / cell);
    context.font = `${size}px ${css("--font-mono") || "monospace"}`;
    context.textBaseline = "middle";
    for (let i = 0; i < n; i++) {
      const text = clip(a.source.tokens[i], 9), middle = gutter + (i + 0.5) * cell;
      const near = (line) => line !== null && i !== line && Math.abs(i - line) * cell < size;
      if (i === row || (i % every === 0 && !near(row))) {
        context.fillStyle = css(i === row ? "--lab-ink" : "--lab-muted");
        context.textAlign = "right";
        context.fillText(text, gutter - 6, middle);
      }
      if (i === column || (i % every === 0 && !near(column))) {
        context.fillStyle = css(i === column ? "--lab-ink" : "--lab-muted");
        context.save();
        context.translate(middle, gutter - 6);
        if (longest > 1) context.rotate(-Math.PI / 2);
        context.textAlign = longest > 1 ? "left" : "center";
        context.fillText(text, 0, 0);
        context.restore();
      }
    }
  }

  function at(event) {
    const box = canvas.getBoundingClientRect();
    const query = Math.floor((event.clientY - box.top - gutter) / cell),
      k = Math.floor((event.clientX - box.left - gutter) / cell);
    const inside = query >= 0 && query < n && k >= 0 && k < n;
    return inside ? { query, key: k } : null;
  }

  function point(event, place) {
    if (place?.query === cursor?.query && place?.key === cursor?.key) return;
    cursor = place;
    preview({ token: place?.query ?? null, key: place?.key ?? null });
    draw();
    if (!place) return hideTip();
    const { title, rows } = say(place);
    showTip(event, title, rows);
  }

  function lock(place) {
    if (place) select({ token: state.selection.token === place.query ? null : place.query });
  }

  function move(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (event.key === "Enter" && cursor) return lock(cursor);
    if (!step) return;
    event.preventDefault();
    const last = n - 1, from = cursor ?? { query: state.selection.token ?? last, key: 0 };
    const query = Math.min(last, Math.max(0, from.query + step[0]));
    cursor = { query, key: Math.min(query, Math.max(0, from.key + step[1])) };
    say(cursor);
    draw();
  }

  function say({ query, key: k }) {
    const tokens = a.source.tokens, title = `${query} “${tokens[query]}” reads from ${k} “${tokens[k]}”`;
    if (k > query) {
      words.textContent = `${k} “${tokens[k]}” comes after ${query} “${tokens[query]}”: masked`;
      return { title, rows: [["masked", "comes later"]] };
    }
    const p = probability(bytes(a)[query * n + k]), rows = [[b ? "A" : "attention", fixed(p)]];
    if (b) {
      const other = probability(bytes(b)[query * n + k]);
      rows.push(["B", fixed(other)], ["A − B", fixed(p - other)]);
    }
    words.textContent = `${title}: ${fixed(p)}`;
    return { title, rows };
  }

  function tellHead() {
    const { layer, head: index } = currentHead(), heads = a.patterns.shape[1];
    const title = what.startsWith("average")
      ? `Layer ${layer}, mean of its heads (hides what each does)`
      : `Layer ${layer}, head ${index}`;
    canvas.setAttribute("aria-label", `${title}: pattern of ${n} tokens. Arrow keys move, Enter locks a row.`);
    found.root.dataset.head = `${layer}.${index}`;
    const scores = what.startsWith("average")
      ? []
      : a.scores.map((score) =>
        h("span", { class: "lab-chip", title: score.explanation, data: { score: score.name } }, `${score.name} `,
          h("b", {}, fixed(score.values.data[layer * heads + index])))
      );
    replace(chips, h("strong", {}, title), ...scores);
    const ramp = what.endsWith("difference") ? "div" : "seq",
      ends = ramp === "div" ? ["B more", "A more"] : ["0", scale === "row" ? "row’s largest" : "1"];
    const strip = paint(h("canvas", { class: "lab-ramp", "aria-hidden": "true" }), 1, 64, (_, i) => [ramp, i / 63]);
    replace(key, h("span", {}, ends[0]), strip, h("span", {}, ends[1]),
      h("span", { class: "lab-note" },
        scale === "root" && ramp === "seq" ? "square-root steps, so that faint attention is seen" : ""),
      h("span", { class: "lab-note" }, "rows: query (reads) · columns: key (is read) · grey: masked"));
    if (!cursor)
      words.textContent = state.selection.token === null
        ? "Point at a cell to read it; click to lock its row."
        : "";
  }
}

// Why the patterns of B cannot be taken from those of A; null where they can.
function mismatch(first, second) {
  if (!sameTokens(first, second)) return "B reads this text as other tokens: no difference";
  const [layers, heads] = first.patterns.shape, [otherLayers, otherHeads] = second.patterns.shape;
  if (layers === otherLayers && heads === otherHeads) return null;
  return `B has ${otherLayers} × ${otherHeads} heads, A has ${layers} × ${heads}: no difference`;
}
