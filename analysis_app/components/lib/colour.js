// Colours of both themes, from the page's CSS variables, as tables of 256 steps.

/** @type {Set<() => unknown>} */
const watchers = new Set();
/** @type {Map<Lab.Palette, Uint8ClampedArray>} */
const tables = new Map();
/** @type {Map<Lab.Palette, Uint32Array>} */
const pixelTables = new Map();
/** @type {Map<string, string>} */
const variables = new Map(); // read once a theme: a picture asks for some of them a hundred times

/** @param {() => unknown} fn */
export function onTheme(fn) {
  watchers.add(fn);
}

new MutationObserver(() => {
  [tables, pixelTables, variables].forEach((kept) => kept.clear());
  watchers.forEach((fn) => fn());
}).observe(document.body, { attributes: true, attributeFilter: ["class"] });

/**
 * What `make` gives for `name`, computed once a theme; nothing is kept of an empty answer.
 * @template {string} Name
 * @template Value
 * @param {Map<Name, Value>} kept
 * @param {Name} name
 * @param {(name: Name) => Value} make
 */
function once(kept, name, make) {
  const known = kept.get(name);
  if (known) return known;
  const made = make(name);
  kept.set(name, made);
  return made;
}

/** The value of a CSS variable. @param {string} name */
export const css = (name) => once(variables, name, () => getComputedStyle(document.body).getPropertyValue(name).trim());

/** [r, g, b] × 256. @param {Lab.Palette} palette */
export const table = (palette) => once(tables, palette, blend);

/** @param {Lab.Palette} palette */
function blend(palette) {
  const stops = [0, 1, 2, 3, 4].map((i) => rgb(css(`--lab-${palette}-${i}`)));
  const found = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * 4, low = Math.min(3, Math.floor(at)), part = at - low;
    for (let c = 0; c < 3; c++) found[3 * i + c] = stops[low][c] * (1 - part) + stops[low + 1][c] * part;
  }
  return found;
}

/** @param {string} hex */
function rgb(hex) {
  const n = parseInt(hex.replace("#", ""), 16);
  return [(n >> 16) & 255, (n >> 8) & 255, n & 255];
}

/**
 * The same as 256 whole pixels, as an ImageData's buffer holds them (on little-endian machines, which all are by now).
 * @param {Lab.Palette} palette
 */
export const pixels = (palette) =>
  once(pixelTables, palette, () => {
    const found = table(palette);
    return Uint32Array.from({ length: 256 },
      (_, i) => (255 << 24) | (found[3 * i + 2] << 16) | (found[3 * i + 1] << 8) | found[3 * i]);
  });

/** Where the colour of `value` in 0 … 1 begins in a table. @param {number} value */
const place = (value) => 3 * Math.round(255 * Math.min(1, Math.max(0, value || 0)));

/** The colour of `value` in 0 … 1. @type {(...shade: Lab.Shade) => string} */
export function colour(palette, value) {
  const found = table(palette), i = place(value);
  return `rgb(${found[i]}, ${found[i + 1]}, ${found[i + 2]})`;
}

/**
 * Black or white on the colour of `value`: where they change places both have a contrast of 4.58 (WCAG asks for 4.5).
 * @type {(...shade: Lab.Shade) => string}
 */
export function ink(palette, value) {
  const found = table(palette), i = place(value), [r, g, b] = [0, 1, 2].map((c) => linear(found[i + c] / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

/** @param {number} x */
const linear = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);

/** How an element looks that wears a colour. @type {(...shade: Lab.Shade) => { background: string, color: string }} */
export const worn = (...shade) => ({ background: colour(...shade), color: ink(...shade) });
