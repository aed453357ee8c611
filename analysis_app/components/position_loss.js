// Does context help? The loss at each position of the context, over the validation text, and that of this text.

import { css } from "./lib/colour.js";
import { count, fixed, h, replace } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { plot } from "./lib/plot.js";
import { asked, option, select, setOption, state } from "./lib/store.js";

export function mount(element) {
  let view = null, own = null;
  const chart = plot("loss at each position. Arrow keys read, Enter pins the token.", (position) => select({ token: Math.min(position, own.source.tokens.length - 1) })), note = h("p", { class: "lab-note" });
  const found = panel(element, {
    request({ run, step }) {
      if (option("positions", "no") !== "yes") {
        return { empty: "How the loss falls as more text has been read, over the run’s validation slice.", action: ["Read the validation slice", () => setOption("positions", "yes", "no")] };
      }
      return [["position_loss", { run, step, packed: true }, "long"], ["predictions", asked()]];
    },
    show(answer, mine) {
      [view, own] = [answer, mine];
      draw();
    },
    update: (changed) => (changed.has("token") ? draw() : null),
    draw,
  });
  replace(found.body, chart.node, note);

  function draw() {
    const n = view.loss.data.length, mine = new Float32Array(n).fill(NaN);
    mine.set(own.loss.data.subarray(0, n));
    chart.draw({
      x: Array.from({ length: n }, (_, i) => i + 1), xName: "tokens read before", cursor: state.selection.token ?? NaN,
      title: (i) => `after ${count(i + 1)} tokens${own.source.tokens[i + 1] === undefined ? "" : `: “${own.source.tokens[i + 1]}”`}`,
      lines: [
        { name: "validation text, mean", values: view.loss.data, error: view.error.data, colour: css("--lab-accent") },
        { name: "this text", values: mine, colour: css("--lab-warm-3") },
      ],
    });
    const helps = view.in_context === null ? "" : ` The last quarter of positions less the first: ${fixed(view.in_context)} nats, ${view.in_context < 0 ? "so context helps" : "so context does not help"}.`;
    note.textContent = `Nats per token, means over ${count(view.pieces)} pieces of validation text with their standard error.${helps}`;
    found.root.dataset.first = fixed(view.loss.data[0]);
    found.root.dataset.last = fixed(view.loss.data[n - 1]);
  }
}
