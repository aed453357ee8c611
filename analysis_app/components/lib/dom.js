// Building what is on the page: elements whose text is always text, the one tooltip, numbers in words.

const COPIED_MS = 1500; // that a button says what it copied

/**
 * An element: `on…` are listeners, `style` and `data` objects, `true` an attribute without a value; null is left out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Lab.Attributes} [attributes]
 * @param {Lab.Child[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(/** @type {Record<string, any>} */ (attributes))) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") styled(node, value);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter(isThere));
  return node;
}

/** @param {Lab.Child} child @returns {child is Node | string} */
const isThere = (child) => child !== null && child !== undefined;

/** @param {HTMLElement} node @param {Record<string, any>} style */
function styled(node, style) {
  for (const [name, value] of Object.entries(style)) {
    if (name.startsWith("--")) node.style.setProperty(name, value);
    else Object.assign(node.style, { [name]: value });
  }
}

/**
 * @template {Element} Place
 * @param {Place} node
 * @param {Lab.Child[]} children
 */
export function replace(node, ...children) {
  node.replaceChildren(...children.filter(isThere));
  return node;
}

/**
 * A labelled list of choices.
 * @param {string} text
 * @param {[value: string, text: string][]} choices
 * @param {string} value
 * @param {(value: string) => void} change
 */
export function choice(text, choices, value, change) {
  const options = choices.map(([v, label]) => h("option", { value: v }, label));
  const select = h("select", { "aria-label": text, onchange: () => {
    change(select.value);
  } }, ...options);
  select.value = value;
  return h("label", { class: "lab-choice" }, h("span", {}, text), select);
}

/**
 * A labelled box to tick.
 * @param {string} text
 * @param {boolean} checked
 * @param {(checked: boolean) => void} change
 * @param {string} [id]
 */
export function tick(text, checked, change, id) {
  const input = h("input", { type: "checkbox", id, checked, onchange: () => {
    change(input.checked);
  } });
  return h("label", { class: "lab-choice" }, input, h("span", {}, text));
}

/**
 * A labelled number to type or step through; `change` is called with whole numbers from 0 to `most`.
 * @param {string} text
 * @param {number} value
 * @param {number} most
 * @param {(value: number) => void} change
 */
export function wholeNumber(text, value, most, change) {
  const input = h("input", { type: "number", min: 0, max: most, step: 1, value, "aria-label": text, onchange: () => {
    const n = Math.min(most, Math.max(0, Math.round(Number(input.value) || 0)));
    input.value = String(n);
    change(n);
  } });
  return h("label", { class: "lab-choice" }, h("span", {}, text), input);
}

/**
 * A button that copies a text and says so for a while, or `otherwise` where the browser does not let it.
 * @param {string} label
 * @param {() => string} text
 * @param {string} otherwise
 * @param {Lab.Attributes} [attributes]
 */
export function copyButton(label, text, otherwise, attributes = {}) {
  const button = h("button", { class: "lab-button", ...attributes, onclick: async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = otherwise;
    }
    window.setTimeout(() => {
      button.textContent = label;
    }, COPIED_MS);
  } }, label);
  return button;
}

/** @param {string} name @param {string} value @param {string} [why] @param {Record<string, string>} [data] */
export const chip = (name, value, why, data = { fact: name }) =>
  h("span", { class: "lab-chip", title: why, data }, `${name} `, h("b", {}, value));

/** @param {string} name @param {string} value */
export const fact = (name, value) => h("span", {}, h("small", {}, name), h("b", {}, value));

// ---------------------------------------------------------------- the tooltip

/** @type {HTMLElement | null} */
let tip = null;

/** @param {{ clientX: number, clientY: number }} event @param {string} title @param {Lab.Row[]} [rows] */
export function showTip(event, title, rows = []) {
  tip ??= document.body.appendChild(h("div", { id: "lab-tip", "aria-hidden": "true" }));
  const lines = rows.map(([name, value]) => h("div", { class: "lab-tip-row" }, h("span", {}, name), h("b", {}, value)));
  replace(tip, h("div", { class: "lab-tip-title" }, title), ...lines);
  tip.style.display = "block";
  const { offsetWidth: width, offsetHeight: height } = tip;
  const right = event.clientX + 16 + width > window.innerWidth;
  const below = event.clientY + 16 + height > window.innerHeight;
  tip.style.left = `${Math.max(4, right ? event.clientX - width - 12 : event.clientX + 16)}px`;
  tip.style.top = `${Math.max(4, below ? event.clientY - height - 12 : event.clientY + 16)}px`;
}

export function hideTip() {
  if (tip) tip.style.display = "none";
}

// ---------------------------------------------------------------- numbers

const UNKNOWN = "n/a";
/** @typedef {number | null | undefined} Maybe a number, or none where nothing was measured */

/** @param {unknown} x @returns {x is number} */
const isNumber = (x) => typeof x === "number" && Number.isFinite(x);

/** The largest unit that `x` holds. @param {[size: number, name: string][]} units @param {number} x */
const largest = (units, x) => units.find(([size]) => x >= size);

/** @param {Maybe} x */
export const fixed = (x, digits = 3) => (isNumber(x) ? x.toFixed(digits) : UNKNOWN);
/** @param {Maybe} x */
export const count = (x) => (isNumber(x) ? x.toLocaleString("en-US") : UNKNOWN);

/** @param {Maybe} x */
export function short(x) {
  if (!isNumber(x)) return UNKNOWN;
  const scale = largest([[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]], Math.abs(x));
  return scale ? `${(x / scale[0]).toPrecision(3)}${scale[1]}` : String(x);
}

/** @param {Maybe} p */
export function percent(p) {
  if (!isNumber(p)) return UNKNOWN;
  if (p >= 0.0995) return `${(100 * p).toFixed(0)} %`;
  return p >= 0.001 ? `${(100 * p).toFixed(1)} %` : p > 0 ? "< 0.1 %" : "0 %";
}

/** @param {Maybe} n */
export function bytes(n) {
  if (!isNumber(n)) return UNKNOWN;
  const scale = largest([[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]], n);
  return scale ? `${(n / scale[0]).toFixed(1)} ${scale[1]}` : `${n} B`;
}

/** @param {Maybe} seconds since 1970 */
export function ago(seconds) {
  if (!isNumber(seconds)) return UNKNOWN;
  const age = Math.max(0, Date.now() / 1000 - seconds);
  const scale = largest([[86400, "d"], [3600, "h"], [60, "min"]], age);
  return scale ? `${Math.floor(age / scale[0])} ${scale[1]} ago` : `${Math.floor(age)} s ago`;
}

/** Whose numbers these are, and as of when. @param {string} whose @param {Date} [at] */
export const asOf = (whose, at = new Date()) => `${whose}, as of ${at.toLocaleString("en-GB")}`;

/** @param {string} text @param {number} most characters */
export const clip = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
