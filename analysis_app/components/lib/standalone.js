// A copy of something on the page that looks the same anywhere: every style is written out, canvases are pictures,
// controls are the text they show, and nothing in it can be obeyed or asked for.

import { h } from "./dom.js";

const XHTML = "http://www.w3.org/1999/xhtml";
const LEFT_OUT = ".lab-export, .lab-message, script, style, template, iframe";
const KEPT = ["title", "aria-label", "role", "colspan", "rowspan", "scope", "dir", "lang"];
// Written out always: what would else be inherited from the parent, and borders, whose width a browser makes up.
const ALWAYS = ["border-top-width", "border-right-width", "border-bottom-width", "border-left-width", "color",
  "font-family", "font-size", "font-style", "font-weight", "font-variant-numeric", "line-height", "letter-spacing",
  "text-align", "text-transform", "white-space-collapse", "text-wrap-mode", "visibility", "overflow-wrap",
  "border-collapse", "fill", "stroke"];
const IDLE = new RegExp(
  "^(-|animation|transition|cursor|pointer-events|user-select|will-change|view-transition|scroll|perspective-origin"
    + "|transform-origin)|(^|-)(inline|block)(-|$)",
);

/** @typedef {Map<string, string>} Rules names of styles that are written out */
/** @typedef {ReturnType<typeof defaults>} Bench */

/** The copy, its rules, its size in CSS pixels. What scrolls is shown whole. @param {Element} root */
export function standalone(root) {
  const bench = defaults();
  /** @type {Rules} */
  const rules = new Map();
  root.classList.add("lab-exporting");
  try {
    const node = copyOf(root, bench, rules) ?? "", { width, height } = root.getBoundingClientRect();
    const css = [...rules].map(([style, name]) => `.${name}{${style}}`).join("\n");
    return { node, css, width: Math.ceil(width), height: Math.ceil(height) };
  } finally {
    root.classList.remove("lab-exporting");
    bench.close();
  }
}

/** @param {Node} node @param {Bench} bench @param {Rules} rules @returns {Node | null} */
function copyOf(node, bench, rules) {
  if (node instanceof Text) return document.createTextNode(printable(node.data));
  if (!(node instanceof Element) || node.matches(LEFT_OUT)) return null;
  const style = getComputedStyle(node);
  if (style.display === "none" || (node instanceof HTMLInputElement && node.type === "range")) return null;
  const made = replacement(node);
  // Rows of a table are as high as what stands in them, which is not always what they say.
  const flows = style.display.startsWith("table") || node.querySelector("table") !== null;
  made.setAttribute("class", named(written(style, bench.of(node), flows ? "height" : ""), rules));
  for (const name of KEPT)
    if (node.hasAttribute(name)) made.setAttribute(name, printable(node.getAttribute(name) ?? ""));
  if ("value" in node && node.localName !== "button") return made;
  const children = [pseudo(node, "::before", rules),
    ...[...node.childNodes].map((child) => copyOf(child, bench, rules)), pseudo(node, "::after", rules)];
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** What stands for `node` in the copy, without its children. @param {Element} node @returns {Element} */
function replacement(node) {
  if (node instanceof HTMLCanvasElement)
    return h("img", { src: node.toDataURL(), alt: node.getAttribute("aria-label") ?? "" });
  const said = textOf(node);
  if (said !== null) return h("span", {}, printable(said));
  if (node.namespaceURI !== XHTML) {
    const drawn = document.createElementNS(node.namespaceURI, node.localName);
    for (const { name, value } of node.attributes)
      if (!name.startsWith("on") && !/href|^style$|^class$/.test(name)) drawn.setAttribute(name, printable(value));
    return drawn;
  }
  return document.createElement(
    ["button", "a", "label", "summary", "details", "form"].includes(node.localName) ? "span" : node.localName,
  );
}

/** What a control shows; null of anything else. @param {Element} node */
function textOf(node) {
  if (node instanceof HTMLSelectElement) return node.selectedOptions[0]?.textContent ?? "";
  if (node instanceof HTMLTextAreaElement) return node.value;
  if (!(node instanceof HTMLInputElement)) return null;
  return ["checkbox", "radio"].includes(node.type) ? (node.checked ? "☑" : "☐") : node.value;
}

/** @param {Element} node @param {string} which @param {Rules} rules */
function pseudo(node, which, rules) {
  const style = getComputedStyle(node, which), content = style.content;
  if (["none", "normal", ""].includes(content) || style.display === "none") return null;
  const text = content.startsWith('"') ? printable(content.slice(1, -1).replace(/\\(.)/g, "$1")) : "";
  return h("span", { class: named(written(style, {}), rules) }, text);
}

/** @param {CSSStyleDeclaration} style @param {Record<string, string>} byDefault */
function written(style, byDefault, not = "") {
  const found = [];
  for (const name of style) {
    const value = style.getPropertyValue(name);
    if (name === not) continue;
    if (ALWAYS.includes(name) || (!IDLE.test(name) && value !== byDefault[name] && name !== "content"))
      found.push(`${name}:${value}`);
  }
  return found.join(";");
}

/** @param {string} style @param {Rules} rules */
function named(style, rules) {
  const name = rules.get(style) ?? `s${rules.size}`;
  rules.set(style, name);
  return name;
}

/** What a browser gives an element of its own accord, looked up in a document without any rules. */
function defaults() {
  const style = { position: "fixed", width: "0", height: "0", border: "0", visibility: "hidden" };
  const frame = document.body.appendChild(h("iframe", { title: "", style }));
  const { contentDocument: bare, contentWindow: view } = frame;
  if (!bare || !view) throw new Error("the browser gives no empty document to compare with");
  /** @type {Map<string, Record<string, string>>} */
  const known = new Map();
  /** @param {Element} node */
  const look = (node) => {
    const made = bare.body.appendChild(bare.createElementNS(node.namespaceURI, node.localName));
    const found = view.getComputedStyle(made);
    const values = Object.fromEntries([...found].map((name) => [name, found.getPropertyValue(name)]));
    made.remove();
    return values;
  };
  /** @param {Element} node */
  const of = (node) => {
    // A button becomes a span: what it looks like is then all its own.
    const key = replacement(node), values = known.get(key.localName) ?? look(key);
    known.set(key.localName, values);
    return values;
  };
  return { of, close: () => frame.remove() };
}

// Text that XML can carry: control characters and halves of characters cannot.
// oxlint-disable-next-line no-control-regex -- these are what it looks for
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;
const HALF = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
/** @param {string} text */
const printable = (text) => text.replace(CONTROL, "\ufffd").replace(HALF, "\ufffd");
