// Histograms of every layer's activations over edges that never change, and the units that never or always fire.

import { prepare } from "./lib/canvas.js";
import { css } from "./lib/colour.js";
import { choice, fixed, h, percent, replace } from "./lib/dom.js";
import { actionsOf, of, panel } from "./lib/panel.js";
import { SITE_NAMES } from "./lib/site_names.js";
import { option, setOption } from "./lib/store.js";

/** @type {[string, string][]} */
const KINDS = [["hook_resid_post", SITE_NAMES.resid_post], ["hook_attn_out", SITE_NAMES.attn_out], ["mlp.hook_post",
  "MLP units"], ["hook_mlp_out", SITE_NAMES.mlp_out]];
const UNITS = "mlp.hook_post", HEIGHT = 74;

/** @param {Element} element */
export function mount(element) {
  let kind = option("histogram", UNITS, (name) => KINDS.some(([known]) => known === name)), log = true;
  const found = panel(element, { request: of("activations"), draw });
  replace(actionsOf(element), choice("Show", KINDS, kind, (value) => {
    kind = value;
    setOption("histogram", value, UNITS);
    found.redraw();
  }), choice("Height", [["log", "log"], ["linear", "linear"]], "log", (value) => {
    log = value === "log";
    found.redraw();
  }));

  /** @param {Lab.ActivationView} view */
  function draw(view) {
    const sites = [...view.sites.keys()].filter((i) => view.sites[i].endsWith(`.${kind}`));
    replace(found.body,
      h("div", { class: "lab-histograms" }, ...sites.map((i, layer) => figure(view, i, layer, kind === UNITS, log))),
      h("p", { class: "lab-note" },
        `Counted over ${view.source.tokens.length} tokens: on so few, a unit may look dead by chance. `
          + "Outermost bars: everything beyond the edges."));
  }
}

/**
 * @param {Lab.ActivationView} view
 * @param {number} i which site
 * @param {number} layer
 * @param {boolean} units whether it says how many of them are dead
 * @param {boolean} log
 */
function figure(view, i, layer, units, log) {
  const bins = view.counts.shape[1], edges = view.edges.data;
  const spread = `from ${fixed(view.minimum.data[i], 2)} to ${fixed(view.maximum.data[i], 2)}`;
  const canvas = h("canvas", { role: "img", "aria-label": `histogram of ${view.sites[i]}, ${spread}` });
  const dead = h("span", { class: "lab-note", data: { dead: layer } },
    `${percent(view.dead_share.data[layer])} never on, ${percent(view.saturated_share.data[layer])} always on`);
  window.requestAnimationFrame(() => bars(canvas, view.counts.data.subarray(i * bins, (i + 1) * bins), log));
  return h("figure", {}, h("figcaption", {}, h("b", {}, `layer ${layer} `), h("span", { class: "lab-note" }, spread)),
    canvas,
    h("div", { class: "lab-axis" }, h("span", {}, fixed(edges[0], 0)), h("span", {}, "0"),
      h("span", {}, fixed(edges[edges.length - 1], 0))), units ? dead : null);
}

/** @param {HTMLCanvasElement} canvas @param {Float32Array} counts @param {boolean} log */
function bars(canvas, counts, log) {
  const width = Math.max(80, canvas.parentElement?.clientWidth ?? 0), context = prepare(canvas, width, HEIGHT);
  /** @param {number} x */
  const scaled = (x) => (log ? Math.log1p(x) : x);
  const largest = Math.max(1, scaled(Math.max(...counts))), bin = width / counts.length;
  context.fillStyle = css("--lab-accent");
  counts.forEach((n, i) => {
    const tall = Math.max(1, (scaled(n) / largest) * (HEIGHT - 2));
    if (n) context.fillRect(i * bin, HEIGHT - tall, Math.max(1, bin - 1), tall);
  });
  context.fillStyle = css("--lab-line");
  context.fillRect(0, HEIGHT - 1, width, 1);
}
