// Taking a figure home: as a picture (PNG), as a page of its own (HTML, opens without a network), as numbers (JSON).
// Every titled panel has this menu. What its numbers are it says by `numbersOf`, which the shared wrapper
// (lib/panel.js) calls with the answers it shows; a panel that does without the wrapper calls it itself, and so does
// every line chart (lib/chart.js), which has a menu of its own where no panel around it has one.

import { contextOf } from "./canvas.js";
import { messageOf } from "./client.js";
import { css } from "./colour.js";
import { clip, count, h, replace } from "./dom.js";
import { probability } from "./patterns.js";
import { standalone } from "./standalone.js";
import { currentText, state } from "./store.js";

const SHARP = 2; // pixels of a picture for each of the page
const MOST_PIXELS = 48e6, MOST_NUMBERS = 4e6;
/** @type {WeakMap<Element, () => unknown>} */
const sources = new WeakMap();
/** @typedef {(root: HTMLElement, title: string) => Promise<Blob>} Make */
/** @type {[name: string, what: string, make: Make][]} */
const WAYS = [["PNG", "a picture", png], ["HTML", "a page that opens without a network", page], ["JSON", "the numbers",
  json]];

/**
 * @param {Element} root a panel
 * @param {() => unknown} fn → the numbers that it shows: plain values, and arrays as they travel
 */
export function numbersOf(root, fn) {
  sources.set(root, fn);
}

/** The menu of the panel in `element`, if it has a title. @param {Element} element */
export function offer(element) {
  const root = element.querySelector(".lab-panel.lab-card"), title = root?.querySelector("h2");
  if (root instanceof HTMLElement && title)
    root.querySelector(".lab-actions")?.after(menuOf(root, () => title.textContent ?? ""));
}

/**
 * A menu that exports what `root` shows, under the title that `named()` gives.
 * @param {HTMLElement} root
 * @param {() => string} named
 */
export function menuOf(root, named) {
  const said = h("p", { class: "lab-export-said", role: "status" });
  const head = h("summary", { class: "lab-button", "aria-label": `Export ${named()}` }, "Export");
  const buttons = WAYS.map(([name, what, make]) =>
    h("button", { class: "lab-button", data: { export: name.toLowerCase() }, title: what, onclick: () =>
      run(name.toLowerCase(), make) }, name)
  );
  const menu = h("details", { class: "lab-export", onkeydown: (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.preventDefault();
    close();
  }, onfocusout: ({ relatedTarget: to }) => {
    if (to instanceof Node && !menu.contains(to)) menu.open = false;
  } }, head, h("div", { class: "lab-export-menu" }, ...buttons, said));
  return menu;

  function close() {
    menu.open = false;
    head.focus();
  }

  /** @param {string} ending @param {Make} make */
  async function run(ending, make) {
    replace(said);
    try {
      save(await make(root, named()), `${fileName(root, named())}.${ending}`);
      close();
    } catch (error) {
      said.textContent = messageOf(error);
    }
  }
}

// ---------------------------------------------------------------- the three ways

/** @type {Make} */
async function png(root) {
  const { node, css: rules, width, height } = figure(root);
  const holder = h("div", {}, h("style", {}, rules), node);
  const inner = new XMLSerializer().serializeToString(holder);
  const foreign = `<foreignObject width="100%" height="100%">${inner}</foreignObject>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${foreign}</svg>`;
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const scale = Math.min(SHARP, Math.sqrt(MOST_PIXELS / (width * height)));
  const canvas = h("canvas", { width: Math.round(width * scale), height: Math.round(height * scale) });
  const context = contextOf(canvas);
  context.fillStyle = css("--lab-card");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(scale, scale);
  context.drawImage(image, 0, 0);
  return new Promise((done, fail) =>
    canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("this picture is too large for the browser"))),
      "image/png")
  );
}

/** @type {Make} */
async function page(root, title) {
  const { node, css: rules } = figure(root),
    made = document.implementation.createHTMLDocument(`${title} · ${state.selection.run ?? ""}`);
  /** @param {Record<string, string>} attributes */
  const meta = (attributes) => made.head.prepend(h("meta", attributes));
  meta({ name: "viewport", content: "width=device-width" });
  // Whatever stands in it, a browser will neither run nor fetch anything.
  meta({ "http-equiv": "Content-Security-Policy",
    content: "default-src 'none'; style-src 'unsafe-inline'; img-src data:" });
  meta({ charset: "utf-8" });
  made.head.append(h("style", {}, `body{margin:24px;background:${css("--lab-ground")}}\n${rules}`));
  made.documentElement.lang = "en";
  made.body.append(node);
  const found = numbers(root, title);
  if (size(found) <= MOST_NUMBERS)
    made.body.append(h("script", { type: "application/json", id: "numbers" }, text(found).replaceAll("<", "\\u003c")));
  return new Blob([`<!doctype html>\n${made.documentElement.outerHTML}\n`], { type: "text/html" });
}

/** @type {Make} */
async function json(root, title) {
  const found = numbers(root, title), n = size(found);
  if (n > MOST_NUMBERS)
    throw new Error(`${count(n)} numbers are too many for one file: shorten the text, or ask the API`);
  return new Blob([`${text(found)}\n`], { type: "application/json" });
}

// ---------------------------------------------------------------- what they are made of

/** The panel's copy with a line under it that says whose numbers these are. @param {HTMLElement} root */
function figure(root) {
  const foot = h("p", { class: "lab-note lab-figure-foot" }, whose(root));
  root.append(foot);
  try {
    return standalone(root);
  } finally {
    foot.remove();
  }
}

/** What the panel says of its source, and how it is looked at. @param {Element} root */
function whose(root) {
  const { run, compare, layer, head } = state.selection, source = sourceOfPanel(root), model = state.info?.model;
  if (source && state.selection.tab === "live") return source;
  const parts = [source ?? `run ${run}`, compare ? `compared with ${compare}` : null,
    model ? `layer ${layer}, head ${head}` : null, model ? `“${clip(currentText().replaceAll("\n", "⏎"), 90)}”` : null];
  return parts.filter(Boolean).join(" · ");
}

/** @param {Element} root */
function sourceOfPanel(root) {
  const said = root.closest("[data-source]");
  return said instanceof HTMLElement ? said.dataset.source ?? null : null;
}

/** @param {Element} root @param {string} title */
function numbers(root, title) {
  const { tab: _, ...selection } = state.selection;
  return { figure: title, source: sourceOfPanel(root), selection: { ...selection, text: currentText() },
    address: window.location.href, exported: new Date().toISOString(), numbers: shownBy(root) };
}

/** What the panel says; of one that says nothing, its charts. @param {Element} root */
function shownBy(root) {
  const own = sources.get(root);
  if (own) return own();
  return [...root.querySelectorAll("*")].map((part) => sources.get(part)).filter((fn) => fn !== undefined).map((fn) =>
    fn()
  );
}

/** @param {unknown} found */
const text = (found) => JSON.stringify(plain(found));

/** @param {unknown} value @returns {value is object} */
const isObject = (value) => typeof value === "object" && value !== null;

/** @param {unknown} value @returns {value is Lab.Numbers<Float32Array | Uint8Array | Int32Array>} */
const isArray = (value) => isObject(value) && "shape" in value && "data" in value && ArrayBuffer.isView(value.data);

/** How many numbers. @param {unknown} value @returns {number} */
function size(value) {
  if (isArray(value)) return value.data.length;
  return isObject(value) ? Object.values(value).reduce((sum, part) => sum + size(part), 0) : 1;
}

/**
 * Arrays as nested lists; bytes are probabilities in square-root steps (lib/patterns.js).
 * @param {unknown} value
 * @returns {unknown}
 */
export function plain(value) {
  if (isArray(value)) {
    const bytes = value.data instanceof Uint8Array;
    return nest(Array.from(value.data, (x) => rounded(bytes ? probability(x) : x)), value.shape);
  }
  if (ArrayBuffer.isView(value)) return Array.from(/** @type {Float32Array} */ (value), rounded);
  if (Array.isArray(value)) return value.map(plain);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}

/** Seven digits: all that a float of 32 bits has. @param {number} x */
const rounded = (x) => (Number.isInteger(x) ? x : Number.isFinite(x) ? Number(x.toPrecision(7)) : null);

/** @param {unknown[]} flat @param {number[]} shape @returns {unknown[]} */
function nest(flat, shape) {
  if (shape.length < 2) return flat;
  const each = shape.slice(1).reduce((a, b) => a * b, 1);
  return Array.from({ length: shape[0] }, (_, i) => nest(flat.slice(i * each, (i + 1) * each), shape.slice(1)));
}

/** @param {HTMLElement} root @param {string} title */
function fileName(root, title) {
  const { run, step } = state.selection;
  const parts = [run, step === null ? null : `step-${step}`, root.dataset.panel ?? title.toLowerCase()];
  return parts.filter(Boolean).join("-").replace(/[^\w.-]+/g, "_").slice(0, 120);
}

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const url = URL.createObjectURL(blob), link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  window.setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
