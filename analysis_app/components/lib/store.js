// The one selection. Everything on the page reads it here, any click writes it here, and the address follows.

import { get } from "./client.js";

/** @type {(keyof Lab.Selection)[]} */
const FIELDS = ["run", "step", "compare", "text", "layer", "head", "token", "part", "tab"];
/** @type {Partial<Lab.Selection>} */
const DEFAULTS = { layer: 0, head: 0, tab: "live" };
/** @param {string} name */
const isField = (name) => FIELDS.some((field) => field === name);
/** @type {(keyof Lab.Hover)[]} */
const HOVER = ["layer", "head", "token", "key"];
/** @type {Set<(changed: Lab.Changed) => void>} */
const listeners = new Set();
// How a panel shows what is selected (its metric, its scale, its unit, …): kept in the address beside the selection.
const options = new Map([...new URLSearchParams(window.location.search)].filter(([name]) => !isField(name)));

/** @type {Lab.State} */
export const state = {
  selection: { run: null, step: null, compare: null, text: null, layer: 0, head: 0, token: null, part: null,
    tab: "live" },
  hover: {}, // what the mouse previews: layer, head, token, key
  headLocked: false, // a click on a head locks it: hovering others then previews nothing
  info: null, // what the server says of the run: runs, weights, steps, model, notes, problem
  failure: null, // the server could not be asked
};

/** @param {(changed: Lab.Changed) => void} fn called with the names of what changed */
export function on(fn) {
  listeners.add(fn);
}

/** @param {string[]} changed */
function emit(...changed) {
  const names = new Set(changed);
  listeners.forEach((fn) => {
    try {
      fn(names);
    } catch (error) {
      console.error(error);
    }
  });
}

/** @param {Partial<Lab.Selection>} patch */
export function select(patch) {
  const changed = FIELDS.filter((name) => name in patch && patch[name] !== state.selection[name]);
  if (!changed.length) return;
  Object.assign(state.selection, patch);
  if (changed.includes("text") && !("token" in patch)) state.selection.token = null;
  write();
  if (changed.includes("run")) {
    state.selection.step = patch.step ?? null;
    ask();
  } else emit(...changed);
}

/**
 * A panel's option as it stands in the address.
 * @template Fallback
 * @param {string} name
 * @param {Fallback} fallback
 * @param {(text: string) => boolean} [allowed] which texts it may be
 * @returns {string | Fallback}
 */
export function option(name, fallback, allowed = () => true) {
  const found = options.get(name);
  return found !== undefined && allowed(found) ? found : fallback;
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {unknown} [fallback] is left out of the address
 */
export function setOption(name, value, fallback = null) {
  if (value === null || String(value) === String(fallback)) options.delete(name);
  else options.set(name, String(value));
  write();
  emit("option", name);
}

/** @param {Lab.Hover} patch */
export function preview(patch) {
  const now = { ...state.hover, ...patch };
  if (HOVER.every((name) => now[name] === state.hover[name])) return;
  Object.assign(state.hover, patch);
  emit("hover");
}

/** Selects a token; the one that is selected, no longer. @param {number} token */
export const pin = (token) => select({ token: state.selection.token === token ? null : token });

/** A head that stays, whatever the mouse previews. @param {number} layer @param {number} head */
export function selectHead(layer, head) {
  lockHead(true);
  select({ layer, head });
}

/** @param {boolean} locked */
export function lockHead(locked) {
  if (state.headLocked === locked) return;
  state.headLocked = locked;
  if (locked) Object.assign(state.hover, { layer: null, head: null });
  emit("lock", "hover");
}

export function dismissNotes() {
  if (state.info) state.info.notes = [];
  emit("notes");
}

// ---------------------------------------------------------------- what panels read

/** The head to show: the one under the mouse, else the selected one. @returns {{ layer: number, head: number }} */
export function currentHead() {
  const { selection, hover, headLocked } = state;
  const { layer, head } = hover;
  if (!headLocked && typeof layer === "number") return { layer, head: head ?? selection.head };
  return { layer: selection.layer, head: selection.head };
}

// The token to show: the locked one, else the one under the mouse, else none.
export const currentToken = () => state.selection.token ?? state.hover.token ?? null;

// The text that is read, which a null in the selection leaves to the run.
export const currentText = () => state.selection.text ?? state.info?.model?.default_text ?? "";

// Whether the run is a published model's folder: weights, and nothing of how they came to be.
export const published = () =>
  Boolean(state.info?.runs.some((run) => run.name === state.selection.run && run.kind === "folder"));

/** What an analysis of A (the selection) or of B (what it is compared with) is asked with. @param {"a" | "b"} side */
export function asked(side = "a") {
  const { run, step, compare } = state.selection;
  const common = { text: currentText(), packed: true };
  if (side === "a") return { run, step, ...common };
  const [name, at] = (compare ?? "").split("@");
  return { run: name, step: at ? Number(at) : null, ...common };
}

// ---------------------------------------------------------------- the address

function write() {
  document.body.dataset.tab = state.selection.tab; // the Live tab reads no text and no head
  if (!state.info) return; // what the address says has not been read yet
  const url = new URL(window.location.href);
  for (const name of FIELDS) {
    const value = state.selection[name];
    if (value === null || value === DEFAULTS[name]) url.searchParams.delete(name);
    else url.searchParams.set(name, String(value));
  }
  const kept = [...url.searchParams.keys()].filter((name) => !isField(name) && !options.has(name));
  kept.forEach((name) => url.searchParams.delete(name));
  options.forEach((value, name) => url.searchParams.set(name, value));
  window.history.replaceState(null, "", url);
}

let asking = 0;

export async function ask(search = window.location.search) {
  const mine = ++asking;
  try {
    const { selection, ...info } = await get(`api/selection${search}`);
    if (mine !== asking) return;
    Object.assign(state, { info, failure: null });
    state.headLocked ||= /[?&](layer|head)=/.test(search);
    Object.assign(state.selection, selection);
    write();
  } catch (error) {
    if (mine !== asking) return;
    state.failure = error instanceof Error ? error : new Error(String(error));
  }
  emit("info", ...FIELDS);
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  if (state.selection.token !== null) select({ token: null });
  else lockHead(false);
});

ask();
