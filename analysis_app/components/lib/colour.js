// Colours of both themes, from the page's CSS variables, as tables of 256 steps.

/** @type {Set<() => unknown>} */
const watchers = new Set();
const tables = new Map();
const variables = new Map(); // read once a theme: a picture asks for some of them a hundred times

/** @param {() => unknown} fn */
export function onTheme(fn) {
  watchers.add(fn);
}

new MutationObserver(() => {
  tables.clear();
  variables.clear();
  watchers.forEach((fn) => fn());
}).observe(document.body, { attributes: true, attributeFilter: ["class"] });

export function css(name) {
  if (!variables.get(name)) variables.set(name, getComputedStyle(document.body).getPropertyValue(name).trim());
  return variables.get(name);
}

// `name` is "seq" (magnitudes), "warm" (losses) or "div" (differences, the middle is none): [r, g, b] × 256.
export function table(name) {
  if (!tables.has(name)) {
    const stops = [0, 1, 2, 3, 4].map((i) => rgb(css(`--lab-${name}-${i}`)));
    const found = new Uint8ClampedArray(256 * 3);
    for (let i = 0; i < 256; i++) {
      const at = (i / 255) * 4, low = Math.min(3, Math.floor(at)), part = at - low;
      for (let c = 0; c < 3; c++) found[3 * i + c] = stops[low][c] * (1 - part) + stops[low + 1][c] * part;
    }
    tables.set(name, found);
  }
  return tables.get(name);
}

// The same as 256 whole pixels, as an ImageData's buffer holds them (on little-endian machines, which all are by now).
export function pixels(name) {
  const key = `${name} pixels`;
  if (!tables.has(key)) {
    const found = table(name);
    tables.set(key, Uint32Array.from({ length: 256 }, (_, i) =>
      (255 << 24) | (found[3 * i + 2] << 16) | (found[3 * i + 1] << 8) | found[3 * i]));
  }
  return tables.get(key);
}

// The colour of `value` in 0 … 1.
export function colour(name, value) {
  const found = table(name), i = 3 * Math.round(255 * Math.min(1, Math.max(0, value || 0)));
  return `rgb(${found[i]}, ${found[i + 1]}, ${found[i + 2]})`;
}

// Black or white on the colour of `value`: where they change places both have a contrast of 4.58 (WCAG asks for 4.5).
export function ink(name, value) {
  const found = table(name), i = 3 * Math.round(255 * Math.min(1, Math.max(0, value || 0)));
  const [r, g, b] = [0, 1, 2].map((c) => linear(found[i + c] / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

const linear = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);

function rgb(hex) {
  const n = parseInt(hex.replace("#", ""), 16);
  return [(n >> 16) & 255, (n >> 8) & 255, n & 255];
}
