// Taking a figure home: as a picture (PNG), as a page of its own (HTML, opens without a network), as numbers (JSON).
// Every titled panel has this menu. What its numbers are it says by `numbersOf`, which the shared wrapper
// (lib/panel.js) calls with the answers it shows; a panel that does without the wrapper calls it itself, and so does
// every line chart (lib/chart.js), which has a menu of its own where no panel around it has one.

import { css } from "./colour.js";
import { clip, count, h, replace } from "./dom.js";
import { probability } from "./patterns.js";
import { standalone } from "./standalone.js";
import { currentText, state } from "./store.js";

const SHARP = 2; // pixels of a picture for each of the page
const MOST_PIXELS = 48e6, MOST_NUMBERS = 4e6;
const sources = new WeakMap();

/**
 * @param {Element} root a panel
 * @param {() => unknown} fn → the numbers that it shows: plain values, and arrays as they travel
 */
export function numbersOf(root, fn) {
  sources.set(root, fn);
}

// The menu of the panel in `element`, if it has a title.
export function offer(element) {
  const root = element.querySelector(".lab-panel.lab-card"), title = root?.querySelector("h2");
  if (title) root.querySelector(".lab-actions").after(menuOf(root, () => title.textContent));
}

// A menu that exports what `root` shows, under the title that `named()` gives.
export function menuOf(root, named) {
  const said = h("p", { class: "lab-export-said", role: "status" });
  const ways = [["PNG", "a picture", png], ["HTML", "a page that opens without a network", page], ["JSON",
    "the numbers", json]];
  const buttons = ways.map(([name, what, make]) =>
    h("button", { class: "lab-button", data: { export: name.toLowerCase() }, title: what, onclick: () =>
      run(name, make) }, name)
  );
  const menu = h("details", { class: "lab-export", onkeydown: close, onfocusout: leave },
    h("summary", { class: "lab-button", "aria-label": `Export ${named()}` }, "Export"),
    h("div", { class: "lab-export-menu" }, ...buttons, said));
  return menu;

  async function run(name, make) {
    replace(said);
    try {
      const content = await make(root, named());
      save(content, `${fileName(root, named())}.${name.toLowerCase()}`);
      menu.open = false;
      menu.firstChild.focus();
    } catch (error) {
      said.textContent = error.message;
    }
  }

  function close(event) {
    if (event.key !== "Escape" || !menu.open) return;
    event.preventDefault();
    menu.open = false;
    menu.firstChild.focus();
  }

  function leave(event) {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  }
}

// ---------------------------------------------------------------- the three ways

async function png(root) {
  const { node, css: rules, width, height } = figure(root);
  const holder = h("div", {}, Object.assign(document.createElement("style"), { textContent: rules }), node);
  const inner = new XMLSerializer().serializeToString(holder);
  const foreign = `<foreignObject width="100%" height="100%">${inner}</foreignObject>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${foreign}</svg>`;
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const scale = Math.min(SHARP, Math.sqrt(MOST_PIXELS / (width * height)));
  const canvas = Object.assign(document.createElement("canvas"), { width: Math.round(width * scale),
    height: Math.round(height * scale) });
  const context = canvas.getContext("2d");
  context.fillStyle = css("--lab-card");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(scale, scale);
  context.drawImage(image, 0, 0);
  return new Promise((done, fail) =>
    canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("this picture is too large for the browser"))),
      "image/png")
  );
}

async function page(root, title) {
  const { node, css: rules } = figure(root),
    made = document.implementation.createHTMLDocument(`${title} · ${state.selection.run ?? ""}`);
  const meta = (attributes) => made.head.prepend(h("meta", attributes));
  meta({ name: "viewport", content: "width=device-width" });
  // Whatever stands in it, a browser will neither run nor fetch anything.
  meta({ "http-equiv": "Content-Security-Policy",
    content: "default-src 'none'; style-src 'unsafe-inline'; img-src data:" });
  meta({ charset: "utf-8" });
  made.head.append(
    Object.assign(made.createElement("style"), {
      textContent: `body{margin:24px;background:${css("--lab-ground")}}\n${rules}`,
    }),
  );
  made.documentElement.lang = "en";
  made.body.append(node);
  const found = numbers(root, title);
  if (size(found) <= MOST_NUMBERS) {
    made.body.append(
      Object.assign(made.createElement("script"), { type: "application/json", id: "numbers",
        textContent: text(found).replaceAll("<", "\\u003c") }),
    );
  }
  return new Blob([`<!doctype html>\n${made.documentElement.outerHTML}\n`], { type: "text/html" });
}

async function json(root, title) {
  const found = numbers(root, title), n = size(found);
  if (n > MOST_NUMBERS)
    throw new Error(`${count(n)} numbers are too many for one file: shorten the text, or ask the API`);
  return new Blob([`${text(found)}\n`], { type: "application/json" });
}

// ---------------------------------------------------------------- what they are made of

// The panel's copy with a line under it that says whose numbers these are.
function figure(root) {
  const foot = h("p", { class: "lab-note lab-figure-foot" }, whose());
  root.append(foot);
  try {
    return standalone(root);
  } finally {
    foot.remove();
  }
}

function whose() {
  const { run, step, compare, layer, head } = state.selection, model = state.info?.model;
  const parts = [`run ${run}`, step === null ? null : `step ${count(step)}`,
    compare ? `compared with ${compare}` : null, model ? `layer ${layer}, head ${head}` : null,
    model ? `“${clip(currentText().replaceAll("\n", "⏎"), 90)}”` : null];
  return parts.filter(Boolean).join(" · ");
}

function numbers(root, title) {
  const { tab: _, ...selection } = state.selection;
  return { figure: title, selection: { ...selection, text: currentText() }, address: window.location.href,
    exported: new Date().toISOString(), numbers: shownBy(root) };
}

// What the panel says; of one that says nothing, its charts.
function shownBy(root) {
  if (sources.has(root)) return sources.get(root)();
  return [...root.querySelectorAll("*")].filter((part) => sources.has(part)).map((part) => sources.get(part)());
}

const text = (found) => JSON.stringify(plain(found));

const isArray = (value) => ArrayBuffer.isView(value?.data) && Array.isArray(value.shape);

function size(value) {
  if (isArray(value)) return value.data.length;
  return value && typeof value === "object" ? Object.values(value).reduce((sum, part) => sum + size(part), 0) : 1;
}

// Arrays as nested lists; bytes are probabilities in square-root steps (lib/patterns.js).
export function plain(value) {
  if (isArray(value)) {
    const number = value.data instanceof Uint8Array ? probability : (x) => x;
    return nest(Array.from(value.data, (x) => rounded(number(x))), value.shape);
  }
  if (ArrayBuffer.isView(value)) return Array.from(value, rounded);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}

// Seven digits: all that a float of 32 bits has.
const rounded = (x) => (Number.isInteger(x) ? x : Number.isFinite(x) ? Number(x.toPrecision(7)) : null);

function nest(flat, shape) {
  if (shape.length < 2) return flat;
  const each = shape.slice(1).reduce((a, b) => a * b, 1);
  return Array.from({ length: shape[0] }, (_, i) => nest(flat.slice(i * each, (i + 1) * each), shape.slice(1)));
}

function fileName(root, title) {
  const { run, step } = state.selection;
  return [run, step === null ? null : `step-${step}`, root.dataset.panel ?? title.toLowerCase()].filter(Boolean).join(
    "-",
  ).replace(/[^\w.-]+/g, "_").slice(0, 120);
}

function save(blob, name) {
  const url = URL.createObjectURL(blob), link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  window.setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
