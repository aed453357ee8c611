// What comes next, and how temperature, top-k and top-p reshape it: at once, from logits already here.

import { fixed, h, percent, replace } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { reshape } from "./lib/sampling.js";
import { asked, option, select, setOption, state } from "./lib/store.js";

const SHOWN = 14;
const UNTOUCHED = "1,0,1", FORM = /^\d(\.\d+)?,\d{1,3},(1|0\.\d+)$/;
const [temperature, topK, topP] = option("drawing", UNTOUCHED, (text) => FORM.test(text)).split(",").map(Number);
const settings = { temperature: Math.min(2, temperature), topK, topP: Math.max(0.05, topP) };

export function mount(element) {
  let view = null;
  const bars = h("div", { class: "lab-bars", role: "list", "aria-label": "likeliest next tokens" }),
    title = h("p", { class: "lab-note" });
  const controls = h("div", { class: "lab-controls" });
  const found = panel(element, {
    // Without a locked token: what comes after the text.
    request: () => [["next_token", { ...asked(), position: state.selection.token }]],
    show(answer) {
      view = answer;
      build();
      draw();
    },
    draw,
  });
  replace(found.body, title, controls, bars);

  function build() {
    const vocabulary = view.logits.data.length;
    settings.topK = Math.min(settings.topK, vocabulary);
    const slider = (name, id, min, max, step, value, set, tell) => {
      const shown = h("b", {}, tell(value));
      const input = h("input", { type: "range", id, min, max, step, value, oninput: () => {
        set(Number(input.value));
        shown.textContent = tell(Number(input.value));
        draw();
      }, onchange: () => setOption("drawing", Object.values(settings).join(","), UNTOUCHED) });
      return h("label", { class: "lab-control" }, h("span", {}, name, " ", shown), input);
    };
    replace(controls, slider("temperature", "lab-temperature", 0, 2, 0.05, settings.temperature, (v) => {
      settings.temperature = v;
    }, (v) => (v === 0 ? "0: always the likeliest" : fixed(v, 2))),
      slider("top-k", "lab-top-k", 0, Math.min(100, vocabulary), 1, settings.topK, (v) => {
        settings.topK = v;
      }, (v) => (v ? String(v) : "all")), slider("top-p", "lab-top-p", 0.05, 1, 0.05, settings.topP, (v) => {
        settings.topP = v;
      }, (v) => (v < 1 ? fixed(v, 2) : "all")));
    const after = view.source.tokens.slice(Math.max(0, view.position - 8), view.position + 1).join("");
    const pinned = state.selection.token !== null;
    replace(title, `After token ${view.position}: …${after} `, pinned
      ? h("button", { class: "lab-button", onclick: () => select({ token: null }) }, "to the end of the text")
      : h("span", {}, "(the end; click a token to look elsewhere)"));
  }

  function draw() {
    const { raw, chances } = reshape(view.logits.data, settings.temperature, settings.topK, settings.topP);
    const n = Math.min(SHOWN, view.tokens.length), largest = Math.max(raw[0], chances[0]);
    replace(bars,
      ...Array.from({ length: n },
        (_, i) =>
          h("div", { class: `lab-bar${chances[i] ? "" : " lab-removed"}`, role: "listitem",
            data: { token: view.ids[i] } }, h("span", { class: "lab-bar-name" }, view.tokens[i]),
            h("span", { class: "lab-bar-track" },
              h("i", { class: "lab-bar-raw", style: { width: `${(100 * raw[i]) / largest}%` } }),
              h("i", { class: "lab-bar-now", style: { width: `${(100 * chances[i]) / largest}%` } })),
            h("span", { class: "lab-bar-value" }, h("b", {}, percent(chances[i])), h("small", {}, percent(raw[i]))))));
    const left = chances.reduce((sum, p) => sum + (p > 0 ? 1 : 0), 0);
    bars.append(
      h("p", { class: "lab-note" }, `${left} of ${chances.length} tokens can be drawn. `
        + "Solid: the drawing; outline and small number: the model’s own."),
    );
    found.root.dataset.left = left;
  }
}
