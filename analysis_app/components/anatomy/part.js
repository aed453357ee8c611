// What stands inside an opened part of the anatomy: the explanation, sizes, every step's numbers, and the code.

import { analysis } from "../lib/answers.js";
import { bar, filled } from "../lib/bars.js";
import { get, idOf, messageOf } from "../lib/client.js";
import { count, fixed, h, percent, replace, short } from "../lib/dom.js";
import { asked, currentToken, state } from "../lib/store.js";
import { tokenPicture } from "../lib/token_picture.js";

/** @type {Record<string, string>} */
const WORD = { batch: "text", pos: "tokens", d_model: "numbers wide", d_mlp: "units", d_head: "numbers a head",
  head: "heads", kv_head: "heads of keys and values", query: "queries", key: "keys",
  vocab: "tokens that could follow" };
const PATIENCE = 200; // milliseconds before it says that it computes
export const GUESSED = 10;

/** @param {number[]} shape */
export const brackets = (shape) => `[${shape.join(", ")}]`;

/** @param {Lab.AnatomyPart} part @param {Lab.AnatomyView} view */
export function inside(part, view) {
  const { title, words, formula } = part.words, steps = h("div", { class: "lab-figures", "aria-live": "polite" });
  if (part.key === "tokens") replace(steps, pieces(view.source));
  else if (["logits", "probabilities"].includes(part.key)) replace(steps, guesses(view, GUESSED));
  else if (part.key !== "text") fill(steps, part, view.source.tokens);
  return h("div", { class: "lab-inside", role: "region", "aria-label": `inside ${title}` },
    h("p", { class: "lab-words" }, words), formula ? h("p", {}, h("code", { class: "lab-formula" }, formula)) : null,
    sizes(part), part.key === "text" ? null : steps, code(part, steps));
}

// ---------------------------------------------------------------- sizes

/** @param {Lab.AnatomyPart} part */
function sizes({ shape, axes, weights, numbers, n_parameters: parameters }) {
  const facts = [];
  if (shape.length) {
    facts.push(
      fact("shape", h("code", { data: { fact: "shape" } }, brackets(shape)), shape.map((size, i) =>
        `${count(size)} ${WORD[axes[i]] ?? axes[i]}`
      ).join(" × ")),
    );
  }
  facts.push(
    fact("parameters", h("b", { data: { fact: "parameters" } }, count(parameters)),
      weights.map(([name, shape]) => `${name.replace(/^blocks\.\d+\./, "")} ${brackets(shape)}`).join(", ")
        || "none: nothing is learned here"),
  );
  if (numbers) {
    const { mean, std, minimum, maximum } = numbers, { value, where } = lengthOf(numbers);
    facts.push(
      fact("its numbers", h("span", { data: { fact: "mean" } }, `mean ${fixed(mean)}, spread ${fixed(std)}`),
        `from ${fixed(minimum, 2)} to ${fixed(maximum, 2)}`),
      fact("length of the vector", h("b", { data: { fact: "norm" } }, value), where),
    );
  }
  return h("dl", { class: "lab-sizes" }, ...facts);
}

/** @param {string} name @param {Node} value @param {string} more */
const fact = (name, value, more) =>
  h("div", {}, h("dt", {}, name), h("dd", {}, value, more ? h("small", {}, more) : null));

/** The length of the vector at the pinned token, or the last. @param {Lab.PartNumbers} numbers */
export function lengthOf({ norms: { data } }) {
  const at = Math.min(data.length - 1, currentToken() ?? data.length - 1);
  return { value: fixed(data[at]), where: `at token ${at}; L2 norm` };
}

// ---------------------------------------------------------------- steps

/** @param {HTMLElement} place @param {Lab.AnatomyPart} part @param {string[]} tokens */
async function fill(place, part, tokens) {
  const content = { ...asked(), part: part.key, layer: part.layer ?? 0, head: state.selection.head };
  const mine = place.dataset.asked = JSON.stringify(content), isMine = () => place.dataset.asked === mine;
  const late = window.setTimeout(() => {
    if (isMine() && !place.children.length) replace(place, h("p", { class: "lab-note" }, "computing…"));
  }, PATIENCE);
  try {
    /** @type {{ steps: Lab.AnatomyStep[] }} */
    const { steps } = await analysis("anatomy_part", content);
    if (isMine()) replace(place, ...steps.map((step) => figure(step, tokens)));
  } catch (error) {
    if (!isMine()) return;
    replace(place, h("p", { class: "lab-warn", role: "alert" }, `${messageOf(error)} `, h("code", {}, idOf(error))),
      h("button", { class: "lab-button", onclick: () => fill(place, part, tokens) }, "Try again"));
  } finally {
    window.clearTimeout(late);
  }
}

/** @param {Lab.AnatomyStep} step @param {string[]} tokens */
function figure({ title, site, shape, axes, head, square, numbers }, tokens) {
  const whose = head === null ? "" : ` · ${axes.includes("kv_head") ? "shared head" : "head"} ${head}`;
  const last = shape[shape.length - 1], shown = numbers.picture.shape[0];
  const some = !square && shown < last ? ` · ${shown} of ${count(last)} shown` : "";
  return h("figure", { class: square ? "lab-figure-square" : null, data: { site: site ?? "" } },
    h("figcaption", {}, title, h("small", {}, `${brackets(shape)}${whose}${some}`)),
    tokenPicture(numbers, tokens, title, square),
    h("small", { class: "lab-axis" },
      h("span", {}, `from ${fixed(numbers.minimum, 2)} to ${fixed(numbers.maximum, 2)}`),
      h("span", { data: { fact: "std" } }, `spread ${fixed(numbers.std)}`)),
    site ? h("small", {}, h("code", {}, site)) : null);
}

/** @param {Lab.Source} source */
function pieces({ tokens, ids }) {
  return h("div", { class: "lab-pieces", role: "list" },
    ...tokens.map((token, i) =>
      h("span", { role: "listitem", data: { position: i } }, h("b", {}, token), h("small", {}, String(ids[i])))
    ));
}

/** The best guesses after the pinned token, or after the text. @param {Lab.AnatomyView} view @param {number} most */
export function guesses({ source: { tokens }, top_tokens: top, top_logits: logits, top_probabilities: chances }, most) {
  const at = Math.min(tokens.length - 1, currentToken() ?? tokens.length - 1), first = at * logits.shape[1];
  const rows = top[at].slice(0, most).map((token, i) => {
    const chance = chances.data[first + i];
    return bar(token, [filled(chance / chances.data[first])], [h("b", {}, percent(chance)),
      most > 3 ? h("small", { title: "its logit" }, fixed(logits.data[first + i], 2)) : null], { data: { guess: i } });
  });
  return h("div", { class: "lab-guesses" }, h("small", {}, `after token ${at} “${tokens[at]}”`),
    h("div", { class: "lab-bars", role: "list" }, ...rows));
}

// ---------------------------------------------------------------- code

/** The functions that compute a part, to open. @param {Lab.AnatomyPart} part @param {HTMLElement} steps shown above */
function code(part, steps) {
  const text = h("pre", { class: "lab-code lab-scroll", tabindex: 0, hidden: true });
  const buttons = part.code.map((place) => {
    const button = h("button", { class: "lab-button", "aria-expanded": "false", data: { code: place.name },
      onclick: () => {
        show(place, button);
      } }, h("b", {}, place.name), h("small", {}, ` ${place.file}:${place.line}`));
    return button;
  });

  /** @param {Lab.CodePlace} place @param {HTMLElement} button */
  async function show({ name }, button) {
    const open = button.getAttribute("aria-expanded") === "true";
    buttons.forEach((other) => other.setAttribute("aria-expanded", String(other === button && !open)));
    text.hidden = open;
    if (open) return;
    try {
      /** @type {{ place: Lab.CodePlace, source: string }} */
      const { place: { file, line }, source } = await get(`api/code/${name}`);
      const shown = [...steps.querySelectorAll("figure")].map((node) => node.dataset.site);
      text.setAttribute("aria-label", `source of ${name}, ${file}, from line ${line}`);
      replace(text, ...linesOf(source, line, [part.site, ...shown].map((site) => site?.split(".").pop())));
    } catch (error) {
      text.textContent = messageOf(error);
    }
  }

  return h("div", { class: "lab-sources" }, h("span", { class: "lab-note" }, "Computed by"), ...buttons, text);
}

/**
 * The lines that hand out the very activations shown above stand out.
 * @param {string} source
 * @param {number} first its line in the file
 * @param {(string | undefined)[]} sites
 */
function linesOf(source, first, sites) {
  const names = sites.filter(Boolean).map((site) => `"${site}"`);
  return source.replace(/\n$/, "").split("\n").map((line, i) =>
    h("span", { class: names.some((name) => line.includes(name)) ? "lab-line lab-line-here" : "lab-line" },
      h("i", { "aria-hidden": "true" }, String(first + i)), `${line}\n`)
  );
}

/** @param {number} n */
export const parameters = (n) => (n ? `${short(n)} parameters` : "no parameters");
