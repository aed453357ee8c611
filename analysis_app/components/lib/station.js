// What stands inside an opened part of the anatomy: the explanation, sizes, every step's numbers, and the code.

import { analysis, get } from "./client.js";
import { count, fixed, h, percent, replace, short } from "./dom.js";
import { sheet } from "./sheet.js";
import { asked, currentToken, state } from "./store.js";

const WORD = { batch: "text", pos: "tokens", d_model: "numbers wide", d_mlp: "units", d_head: "numbers a head",
  head: "heads", kv_head: "heads of keys and values", query: "queries", key: "keys",
  vocab: "tokens that could follow" };

export const brackets = (shape) => `[${shape.join(", ")}]`;

export function inside(part, view) {
  const steps = h("div", { class: "lab-figures", "aria-live": "polite" });
  const node = h("div", { class: "lab-inside", role: "region", "aria-label": `inside ${part.words.title}` },
    h("p", { class: "lab-words" }, part.words.words),
    part.words.formula ? h("p", {}, h("code", { class: "lab-formula" }, part.words.formula)) : null, sizes(part), steps,
    code(part));
  if (part.key === "tokens") replace(steps, pieces(view));
  else if (["logits", "probabilities"].includes(part.key)) replace(steps, guesses(view, GUESSED));
  else if (part.key !== "text") fill(steps, part, view);
  else steps.remove();
  return node;
}

// ---------------------------------------------------------------- sizes

function sizes(part) {
  const fact = (name, value, more = null) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, value, more ? h("small", {}, more) : null));
  const facts = [];
  if (part.shape.length)
    facts.push(
      fact("shape", h("code", { data: { fact: "shape" } }, brackets(part.shape)),
        part.shape.map((size, i) => `${count(size)} ${WORD[part.axes[i]] ?? part.axes[i]}`).join(" × ")),
    );
  const weights = part.weights.map(([name, shape]) => `${name.replace(/^blocks\.\d+\./, "")} ${brackets(shape)}`).join(
    ", ",
  );
  facts.push(
    fact("parameters", h("b", { data: { fact: "parameters" } }, count(part.n_parameters)),
      weights || "none: nothing is learned here"),
  );
  if (part.numbers) {
    const { mean, std, minimum, maximum, norms } = part.numbers,
      token = Math.min(norms.data.length - 1, currentToken() ?? norms.data.length - 1);
    facts.push(
      fact("its numbers", h("span", { data: { fact: "mean" } }, `mean ${fixed(mean)}, spread ${fixed(std)}`),
        `from ${fixed(minimum, 2)} to ${fixed(maximum, 2)}`),
    );
    facts.push(
      fact("length of the vector", h("b", { data: { fact: "norm" } }, fixed(norms.data[token])),
        `at token ${token}; L2 norm`),
    );
  }
  return h("dl", { class: "lab-sizes" }, ...facts);
}

// ---------------------------------------------------------------- steps

async function fill(place, part, view) {
  const { head } = state.selection, content = { ...asked(), part: part.key, layer: part.layer ?? 0, head };
  const mine = (place.dataset.asked = JSON.stringify(content));
  const late = window.setTimeout(
    () =>
      place.dataset.asked === mine && !place.children.length
      && replace(place, h("p", { class: "lab-note" }, "computing…")),
    200,
  );
  try {
    const found = await analysis("anatomy_part", content);
    if (place.dataset.asked !== mine) return;
    replace(place, ...found.steps.map((step) => figure(step, view.source.tokens)));
  } catch (error) {
    if (place.dataset.asked === mine)
      replace(place, h("p", { class: "lab-warn", role: "alert" }, `${error.message} `, h("code", {}, error.id ?? "")),
        h("button", { class: "lab-button", onclick: () => fill(place, part, view) }, "Try again"));
  } finally {
    window.clearTimeout(late);
  }
}

function figure(step, tokens) {
  const { numbers } = step,
    whose = step.head === null ? "" : ` · ${step.axes.includes("kv_head") ? "shared head" : "head"} ${step.head}`;
  const last = step.shape.at(-1), shown = numbers.picture.shape[0];
  const some = !step.square && shown < last ? ` · ${shown} of ${count(last)} shown` : "";
  return h("figure", { class: step.square ? "lab-figure-square" : null, data: { site: step.site ?? "" } },
    h("figcaption", {}, step.title, h("small", {}, `${brackets(step.shape)}${whose}${some}`)),
    sheet(numbers, tokens, step.title, step.square),
    h("small", { class: "lab-axis" },
      h("span", {}, `from ${fixed(numbers.minimum, 2)} to ${fixed(numbers.maximum, 2)}`),
      h("span", { data: { fact: "std" } }, `spread ${fixed(numbers.std)}`)),
    step.site ? h("small", {}, h("code", {}, step.site)) : null);
}

function pieces({ source }) {
  return h("div", { class: "lab-pieces", role: "list" },
    ...source.tokens.map((token, i) =>
      h("span", { role: "listitem", data: { position: i } }, h("b", {}, token), h("small", {}, String(source.ids[i])))
    ));
}

// The best guesses after the pinned token, or after the text.
const GUESSED = 10;
export function guesses(view, most) {
  const n = view.source.tokens.length, at = Math.min(n - 1, currentToken() ?? n - 1), k = view.top_logits.shape[1];
  const value = (array, i) => array.data[at * k + i], largest = value(view.top_probabilities, 0);
  const rows = view.top_tokens[at].slice(0, most).map((token, i) =>
    h("div", { class: "lab-bar", role: "listitem", data: { guess: i } }, h("span", { class: "lab-bar-name" }, token),
      h("span", { class: "lab-bar-track" },
        h("i", { class: "lab-bar-now", style: { width: `${(100 * value(view.top_probabilities, i)) / largest}%` } })),
      h("span", { class: "lab-bar-value" }, h("b", {}, percent(value(view.top_probabilities, i))),
        most > 3 ? h("small", { title: "its logit" }, fixed(value(view.top_logits, i), 2)) : null))
  );
  return h("div", { class: "lab-guesses" }, h("small", {}, `after token ${at} “${view.source.tokens[at]}”`),
    h("div", { class: "lab-bars", role: "list" }, ...rows));
}

// ---------------------------------------------------------------- code

function code(part) {
  const text = h("pre", { class: "lab-code lab-scroll", tabindex: 0, hidden: true }),
    buttons = part.code.map((place) => {
      const button = h("button", { class: "lab-button", "aria-expanded": "false", data: { code: place.name },
        onclick: () => show(place, button) }, h("b", {}, place.name), h("small", {}, ` ${place.file}:${place.line}`));
      return button;
    });
  const node = h("div", { class: "lab-sources" }, h("span", { class: "lab-note" }, "Computed by"), ...buttons, text);

  async function show(place, button) {
    const open = button.getAttribute("aria-expanded") === "true";
    buttons.forEach((other) => other.setAttribute("aria-expanded", String(other === button && !open)));
    text.hidden = open;
    if (open) return;
    try {
      const found = await get(`api/code/${place.name}`), lines = found.source.replace(/\n$/, "").split("\n");
      const sites = [part.site ?? "", ...[...node.parentNode.querySelectorAll("[data-site]")].map((figure) =>
        figure.dataset.site
      )];
      const names = sites.filter(Boolean).map((site) => `"${site.split(".").pop()}"`);
      text.setAttribute("aria-label", `source of ${place.name}, ${found.place.file}, from line ${found.place.line}`);
      // The lines that hand out the very activations shown above stand out.
      replace(text, ...lines.map((line, i) =>
        h("span", { class: names.some((name) => line.includes(name)) ? "lab-line lab-line-here" : "lab-line" },
          h("i", { "aria-hidden": "true" }, String(found.place.line + i)), `${line}\n`)
      ));
    } catch (error) {
      text.textContent = error.message;
    }
  }

  return node;
}

export const parameters = (n) => (n ? `${short(n)} parameters` : "no parameters");
