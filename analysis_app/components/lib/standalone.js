// A copy of something on the page that looks the same anywhere: every style is written out, canvases are pictures,
// controls are the text they show, and nothing in it can be obeyed or asked for.

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

// → { node, css, width, height }: the copy, its rules, its size in CSS pixels. What scrolls is shown whole.
export function standalone(root) {
  const bench = defaults(), rules = new Map();
  root.classList.add("lab-exporting");
  try {
    const node = copy(root, bench, rules), { width, height } = root.getBoundingClientRect();
    const css = [...rules].map(([style, name]) => `.${name}{${style}}`).join("\n");
    return { node, css, width: Math.ceil(width), height: Math.ceil(height) };
  } finally {
    root.classList.remove("lab-exporting");
    bench.close();
  }
}

function copy(node, bench, rules) {
  if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(printable(node.data));
  if (node.nodeType !== Node.ELEMENT_NODE || node.matches(LEFT_OUT)) return null;
  const style = getComputedStyle(node);
  if (style.display === "none" || (node.localName === "input" && node.type === "range")) return null;
  const made = replacement(node);
  // Rows of a table are as high as what stands in them, which is not always what they say.
  const flows = style.display.startsWith("table") || node.querySelector("table") !== null;
  made.setAttribute("class", named(written(style, bench.of(node), flows ? "height" : ""), rules));
  for (const name of KEPT) if (node.hasAttribute(name)) made.setAttribute(name, printable(node.getAttribute(name)));
  if (!("value" in node) || node.localName === "button") {
    made.append(
      ...[pseudo(node, "::before", rules), ...[...node.childNodes].map((child) => copy(child, bench, rules)),
        pseudo(node, "::after", rules)].filter(Boolean),
    );
  }
  return made;
}

// What stands for `node` in the copy, without its children.
function replacement(node) {
  const text = (words) => Object.assign(document.createElement("span"), { textContent: printable(words) });
  if (node.localName === "canvas")
    return Object.assign(document.createElement("img"), { src: node.toDataURL(),
      alt: node.getAttribute("aria-label") ?? "" });
  if (node.localName === "select") return text(node.selectedOptions[0]?.textContent ?? "");
  if (node.localName === "input" && ["checkbox", "radio"].includes(node.type)) return text(node.checked ? "☑" : "☐");
  if (["input", "textarea"].includes(node.localName)) return text(node.value);
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

function pseudo(node, which, rules) {
  const style = getComputedStyle(node, which), content = style.content;
  if (["none", "normal", ""].includes(content) || style.display === "none") return null;
  const made = document.createElement("span");
  made.textContent = content.startsWith('"') ? printable(content.slice(1, -1).replace(/\\(.)/g, "$1")) : "";
  made.className = named(written(style, {}), rules);
  return made;
}

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

function named(style, rules) {
  if (!rules.has(style)) rules.set(style, `s${rules.size}`);
  return rules.get(style);
}

// What a browser gives an element of its own accord, looked up in a document without any rules.
function defaults() {
  const frame = document.body.appendChild(
    Object.assign(document.createElement("iframe"), { hidden: false, title: "" }),
  );
  Object.assign(frame.style, { position: "fixed", width: "0", height: "0", border: "0", visibility: "hidden" });
  const known = new Map(), place = frame.contentDocument.body;
  const look = (node) => {
    const bare = place.appendChild(frame.contentDocument.createElementNS(node.namespaceURI, node.localName));
    const style = frame.contentWindow.getComputedStyle(bare),
      found = Object.fromEntries([...style].map((name) => [name, style.getPropertyValue(name)]));
    bare.remove();
    return found;
  };
  const of = (node) => {
    // A button becomes a span: what it looks like is then all its own.
    const key = replacement(node);
    if (!known.has(key.localName)) known.set(key.localName, look(key));
    return known.get(key.localName);
  };
  return { of, close: () => frame.remove() };
}

// Text that XML can carry: control characters and halves of characters cannot.
// oxlint-disable-next-line no-control-regex -- these are what it looks for
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;
const HALF = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const printable = (text) => text.replace(CONTROL, "\ufffd").replace(HALF, "\ufffd");
