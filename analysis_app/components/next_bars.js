// What comes next, and how temperature, top-k and top-p reshape it: at once, from logits already here.

import { bar, filled } from "./lib/bars.js";
import { fixed, h, percent, replace } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { reshape } from "./lib/sampling.js";
import { asked, option, select, setOption, state } from "./lib/store.js";

const SHOWN = 14;
const UNTOUCHED = "1,0,1", FORM = /^\d(\.\d+)?,\d{1,3},(1|0\.\d+)$/;
const [temperature, topK, topP] = option("drawing", UNTOUCHED, (text) => FORM.test(text)).split(",").map(Number);
const settings = { temperature: Math.min(2, temperature), topK, topP: Math.max(0.05, topP) };

/** @param {Element} element */
export function mount(element) {
  /** @type {Lab.NextView} */
  let view;
  const bars = h("div", { class: "lab-bars", role: "list", "aria-label": "likeliest next tokens" });
  const title = h("p", { class: "lab-note" }), controls = h("div", { class: "lab-controls" });
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
    replace(controls,
      slider("temperature", "lab-temperature", "temperature", [0, 2, 0.05],
        (v) => (v === 0 ? "0: always the likeliest" : fixed(v, 2)), draw),
      slider("top-k", "lab-top-k", "topK", [0, Math.min(100, vocabulary), 1], (v) => (v ? String(v) : "all"), draw),
      slider("top-p", "lab-top-p", "topP", [0.05, 1, 0.05], (v) => (v < 1 ? fixed(v, 2) : "all"), draw));
    const after = view.source.tokens.slice(Math.max(0, view.position - 8), view.position + 1).join("");
    const pinned = state.selection.token !== null;
    replace(title, `After token ${view.position}: …${after} `, pinned
      ? h("button", { class: "lab-button", onclick: () => select({ token: null }) }, "to the end of the text")
      : h("span", {}, "(the end; click a token to look elsewhere)"));
  }

  function draw() {
    const { raw, chances } = reshape(view.logits.data, settings.temperature, settings.topK, settings.topP);
    const largest = Math.max(raw[0], chances[0]), left = chances.reduce((sum, p) => sum + (p > 0 ? 1 : 0), 0);
    replace(bars,
      ...view.tokens.slice(0, SHOWN).map((token, i) =>
        bar(token, [filled(raw[i] / largest, "lab-bar-raw"), filled(chances[i] / largest)], [
          h("b", {}, percent(chances[i])),
          h("small", {}, percent(raw[i])),
        ], { class: `lab-bar${chances[i] ? "" : " lab-removed"}`, data: { token: view.ids[i] } })
      ), h("p", { class: "lab-note" }, `${left} of ${chances.length} tokens can be drawn. `
        + "Solid: the drawing; outline and small number: the model’s own."));
    found.root.dataset.left = String(left);
  }
}

/**
 * A setting to slide; the address keeps it once it is let go.
 * @param {string} name
 * @param {string} id
 * @param {keyof typeof settings} key
 * @param {[min: number, max: number, step: number]} range
 * @param {(value: number) => string} tell
 * @param {() => void} changed
 */
function slider(name, id, key, [min, max, step], tell, changed) {
  const shown = h("b", {}, tell(settings[key]));
  const input = h("input", { type: "range", id, min, max, step, value: settings[key], oninput: () => {
    settings[key] = Number(input.value);
    shown.textContent = tell(settings[key]);
    changed();
  }, onchange: () => setOption("drawing", Object.values(settings).join(","), UNTOUCHED) });
  return h("label", { class: "lab-control" }, h("span", {}, name, " ", shown), input);
}
