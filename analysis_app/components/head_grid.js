// All heads of all layers as thumbnails. Hover previews, click locks, Esc unlocks, double-click solos, arrows move.

import { paintPattern } from "./lib/canvas.js";
import { longAnalysis } from "./lib/client.js";
import { colour } from "./lib/colour.js";
import { choice, fixed, h, hideTip, replace, showTip } from "./lib/dom.js";
import { actionsOf, of, panel } from "./lib/panel.js";
import { head } from "./lib/patterns.js";
import { asked, currentHead, lockHead, option, preview, select, setOption, state } from "./lib/store.js";

const ABLATION = "Δ loss without it", DEFAULT = "induction";

export const mount = (element) => headGrid(element, { request: of("attention"), ablates: true });

// `source`: { request, ask (both as lib/panel.js says), ablates: whether heads can be taken away there }. Returns
// { show(view), refresh() } for a source whose numbers change by themselves.
export function headGrid(element, source) {
  let view = null, metric = option("metric", DEFAULT), ablation = null, running = null, tiles = [], legend = null,
    offered = "";
  const grid = h("div", { class: "lab-heads", role: "grid", "aria-label": "attention heads, a row for each layer" });

  const found = panel(element, {
    ...source,
    show,
    update: mark,
    draw: paintAll,
  });
  legend = h("p", { class: "lab-note" });
  replace(found.body, grid, legend);
  return { show, refresh: found.refresh };

  function show(answer) {
    [view, ablation] = [answer, null];
    running?.abort();
    build();
    if (metric === ABLATION) ablate();
  }

  function build() {
    const [layers, heads] = view.patterns.shape;
    grid.style.setProperty("--heads", heads);
    if (tiles.length !== layers || tiles[0].length !== heads) {
      tiles = Array.from({ length: layers }, (_, layer) => Array.from({ length: heads }, (_, i) => tile(layer, i)));
      replace(grid, ...tiles.map((row, layer) =>
        h("div", { class: "lab-heads-row", role: "row" },
          h("span", { class: "lab-heads-name", role: "rowheader" }, `layer ${layer}`), ...row.map((t) =>
            t.button
          ))
      ));
    }
    const names = [...view.scores.map((score) => score.name), ...(source.ablates ? [ABLATION] : [])];
    if (metric !== "none" && !names.includes(metric)) metric = names.includes(DEFAULT) ? DEFAULT : "none";
    // The same choices stay: a list that is open must not be taken away.
    if (offered !== (offered = JSON.stringify([names, metric])))
      replace(actionsOf(element),
        choice("Show", [["none", "patterns only"], ...names.map((n) => [n, n])], metric, (name) => {
          metric = name;
          setOption("metric", name, DEFAULT);
          if (name === ABLATION) ablate();
          else paintScores();
        }));
    paintAll();
    mark();
  }

  function tile(layer, index) {
    const canvas = h("canvas", { "aria-hidden": "true" }), score = h("span", { class: "lab-head-score" });
    const button = h("button", {
      class: "lab-head",
      role: "gridcell",
      data: { layer, head: index },
      onclick: (event) => {
        if (event.detail < 2) pick(layer, index);
      },
      ondblclick: () => solo(layer, index),
      onmouseenter: (event) => {
        preview({ layer, head: index });
        tell(event, layer, index);
      },
      onmouseleave: () => {
        preview({ layer: null, head: null });
        hideTip();
      },
      onkeydown: (event) => move(event, layer, index),
    }, canvas, h("span", { class: "lab-head-foot" }, h("span", {}, `${layer}.${index}`), " ", score));
    return { button, canvas, score };
  }

  function pick(layer, index) {
    const { selection, headLocked } = state;
    if (headLocked && selection.layer === layer && selection.head === index) return lockHead(false);
    lockHead(true);
    select({ layer, head: index });
  }

  function solo(layer, index) {
    lockHead(true);
    select({ layer, head: index });
    const row = element.closest(".lab-split");
    if (row) row.classList.toggle("lab-solo");
  }

  function move(event, layer, index) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [toLayer, toHead] = [layer + step[0], index + step[1]];
    if (!tiles[toLayer]?.[toHead]) return;
    lockHead(true);
    select({ layer: toLayer, head: toHead });
    tiles[toLayer][toHead].button.focus();
  }

  function paintAll() {
    const n = view.patterns.shape[2];
    tiles.forEach((row, layer) =>
      row.forEach((t, index) => {
        paintPattern(t.canvas, head(view, layer, index), n);
        t.canvas.style.imageRendering = n <= 96 ? "pixelated" : "auto";
      })
    );
    paintScores();
  }

  function current() {
    if (metric !== ABLATION) return view.scores.find((score) => score.name === metric) ?? null;
    if (!ablation) return null;
    return { name: ABLATION,
      explanation:
        "rise of this text’s loss, in nats, when its mean takes the head’s place; below 0 the text is predicted "
        + "better without it", values: ablation.heads, chance: null };
  }

  function paintScores() {
    const score = current();
    const values = score ? Array.from(score.values.data) : [];
    const largest = Math.max(1e-6, ...values.map(Math.abs)),
      top = score?.top ?? (score && score.chance !== null && largest <= 1 ? 1 : largest);
    tiles.forEach((row, layer) =>
      row.forEach((t, index) => {
        const value = score ? values[layer * row.length + index] : null;
        t.score.textContent = score ? fixed(value, score.name === ABLATION ? 3 : 2) : "";
        t.button.style.setProperty("--score", score
          ? (score.name === ABLATION ? colour("div", 0.5 + (0.5 * value) / top) : colour("warm", Math.abs(value) / top))
          : "transparent");
        // What is seen is part of what is heard: who says "click 1.3" means this one.
        t.button.setAttribute("aria-label",
          `${layer}.${index} ${t.score.textContent}${score ? ` ${score.name}` : ""}: layer ${layer}, head ${index}`);
      })
    );
    const chance = score && score.chance !== null ? ` A head that attends evenly: ${fixed(score.chance)}.` : "";
    const random = ["previous token", "duplicate token", "induction"].includes(metric)
      ? ` Measured on ${view.period} random tokens, written twice.`
      : "";
    legend.textContent = score
      ? `${score.name}: ${score.explanation}.${chance}${random}`
      : "Rows of a picture read from columns; brighter means more.";
    found.root.dataset.metric = score ? score.name : "none";
  }

  async function ablate() {
    paintScores();
    if (ablation) return;
    running?.abort();
    const mine = view, { signal } = (running = new AbortController());
    const bar = h("progress", { max: 1, value: 0, "aria-label": "how much is done" }),
      words = h("span", {}, "Taking each head away in turn… ");
    replace(legend, words, bar);
    try {
      const answer = await longAnalysis("ablation", asked(), (done, of) => {
        [bar.max, bar.value, words.textContent] = [of, done, `Taking each head away in turn, ${done} of ${of} `];
      }, signal);
      if (mine !== view) return;
      ablation = answer;
      if (metric === ABLATION) paintScores();
    } catch (error) {
      if (error.name === "AbortError" || mine !== view) return;
      replace(legend, `${error.message} (${error.id ?? ""}) `,
        h("button", { class: "lab-button", onclick: ablate }, "Try again"));
    }
  }

  function mark() {
    const { layer, head: index } = state.selection, shown = currentHead();
    tiles.forEach((row, l) =>
      row.forEach((t, i) => {
        const chosen = l === layer && i === index;
        t.button.classList.toggle("lab-chosen", chosen);
        t.button.classList.toggle("lab-locked", chosen && state.headLocked);
        t.button.classList.toggle("lab-previewed", l === shown.layer && i === shown.head && !chosen);
        t.button.setAttribute("aria-selected", String(chosen));
        t.button.tabIndex = chosen ? 0 : -1;
      })
    );
  }

  function tell(event, layer, index) {
    const heads = tiles[layer].length;
    const rows = view.scores.map((score) => [score.name, fixed(score.values.data[layer * heads + index])]);
    if (ablation) rows.push([ABLATION, fixed(ablation.heads.data[layer * heads + index])]);
    showTip(event, `layer ${layer}, head ${index}`, rows);
  }
}
