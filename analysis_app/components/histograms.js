// Histograms of every layer's activations over edges that never change, and the units that never or always fire.

import { prepare } from "./lib/canvas.js";
import { css } from "./lib/colour.js";
import { choice, fixed, h, percent, replace } from "./lib/dom.js";
import { actionsOf, of, panel } from "./lib/panel.js";
import { option, setOption } from "./lib/store.js";

const KINDS = [["hook_resid_post", "stream after the MLP"], ["hook_attn_out", "attention adds"], ["mlp.hook_post",
  "MLP units"], ["hook_mlp_out", "MLP adds"]];
const HEIGHT = 74;

export function mount(element) {
  let view = null, kind = option("histogram", "mlp.hook_post", (name) => KINDS.some(([known]) => known === name)),
    log = true;
  const found = panel(element, {
    request: of("activations"),
    show(answer) {
      view = answer;
      replace(actionsOf(element), choice("Show", KINDS, kind, (value) => {
        kind = value;
        setOption("histogram", value, "mlp.hook_post");
        draw();
      }), choice("Height", [["log", "log"], ["linear", "linear"]], log ? "log" : "linear", (value) => {
        log = value === "log";
        draw();
      }));
      draw();
    },
    draw,
  });

  function draw() {
    const bins = view.counts.shape[1],
      rows = view.sites.map((site, i) => [site, i]).filter(([site]) => site.endsWith(`.${kind}`));
    const edges = view.edges.data, [low, high] = [edges[0], edges[edges.length - 1]];
    replace(found.body, h("div", { class: "lab-histograms" }, ...rows.map(([site, i], layer) => {
      const counts = view.counts.data.subarray(i * bins, (i + 1) * bins), canvas = h("canvas", { role: "img" });
      const spread = `from ${fixed(view.minimum.data[i], 2)} to ${fixed(view.maximum.data[i], 2)}`;
      canvas.setAttribute("aria-label", `histogram of ${site}, ${spread}`);
      const dead = h("span", { class: "lab-note", data: { dead: layer } },
        `${percent(view.dead_share.data[layer])} never on, ${percent(view.saturated_share.data[layer])} always on`);
      const figure = h("figure", {},
        h("figcaption", {}, h("b", {}, `layer ${layer} `), h("span", { class: "lab-note" }, spread)), canvas,
        h("div", { class: "lab-axis" }, h("span", {}, fixed(low, 0)), h("span", {}, "0"),
          h("span", {}, fixed(high, 0))), kind === "mlp.hook_post" ? dead : null);
      window.requestAnimationFrame(() => bars(canvas, counts));
      return figure;
    })),
      h("p", { class: "lab-note" },
        `Counted over ${view.source.tokens.length} tokens: on so few, a unit may look dead by chance. `
          + "Outermost bars: everything beyond the edges."));
  }

  function bars(canvas, counts) {
    const width = Math.max(80, canvas.parentElement.clientWidth), context = prepare(canvas, width, HEIGHT);
    const scaled = (x) => (log ? Math.log1p(x) : x), largest = Math.max(1, scaled(Math.max(...counts))),
      bin = width / counts.length;
    context.fillStyle = css("--lab-accent");
    counts.forEach((n, i) => {
      const tall = (scaled(n) / largest) * (HEIGHT - 2);
      if (n) context.fillRect(i * bin, HEIGHT - Math.max(1, tall), Math.max(1, bin - 1), Math.max(1, tall));
    });
    context.fillStyle = css("--lab-line");
    context.fillRect(0, HEIGHT - 1, width, 1);
  }
}
