// The one selection. Everything on the page reads it here, any click writes it here, and the address follows.

import { get } from "./client.js";

const FIELDS = ["run", "step", "compare", "text", "layer", "head", "token", "part", "tab"];
const DEFAULTS = { layer: 0, head: 0, tab: "live" };
const listeners = new Set();
// How a panel shows what is selected (its metric, its scale, its unit, …): kept in the address beside the selection.
const options = new Map([...new URLSearchParams(window.location.search)].filter(([name]) => !FIELDS.includes(name)));

export const state = {
  selection: Object.fromEntries(FIELDS.map((name) => [name, DEFAULTS[name] ?? null])),
  hover: {}, // what the mouse previews: layer, head, token, key
  headLocked: false, // a click on a head locks it: hovering others then previews nothing
  info: null, // what the server says of the run: runs, weights, steps, model, notes, problem
  failure: null, // the server could not be asked
};

// `fn(changed)` is called with the names of what changed: fields of the selection, "hover", "lock", "info", "option".
export function on(fn) {
  listeners.add(fn);
}

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

// A panel's option as it stands in the address; `allowed` says which texts it may be.
export function option(name, fallback, allowed = () => true) {
  const found = options.get(name);
  return found !== undefined && allowed(found) ? found : fallback;
}

// `fallback` itself is left out of the address.
export function setOption(name, value, fallback = null) {
  if (value === null || String(value) === String(fallback)) options.delete(name);
  else options.set(name, String(value));
  write();
  emit("option", name);
}

export function preview(patch) {
  const changed = Object.keys(patch).filter((name) => patch[name] !== state.hover[name]);
  if (!changed.length) return;
  Object.assign(state.hover, patch);
  emit("hover");
}

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

// The head to show: the one under the mouse, else the selected one.
export function currentHead() {
  const { selection, hover, headLocked } = state;
  const previewed = !headLocked && Number.isInteger(hover.layer);
  return previewed ? { layer: hover.layer, head: hover.head } : { layer: selection.layer, head: selection.head };
}

// The token to show: the locked one, else the one under the mouse, else none.
export const currentToken = () => state.selection.token ?? state.hover.token ?? null;

// The text that is read, which a null in the selection leaves to the run.
export const currentText = () => state.selection.text ?? state.info?.model?.default_text ?? "";

// Whether the run is a published model's folder: weights, and nothing of how they came to be.
export const published = () =>
  Boolean(state.info?.runs.some((run) => run.name === state.selection.run && run.kind === "folder"));

// What an analysis of A (the selection) or of B (what it is compared with) is asked with.
export function asked(side = "a") {
  const { run, step, compare } = state.selection;
  const common = { text: currentText(), packed: true };
  if (side === "a") return { run, step, ...common };
  const [name, at] = compare.split("@");
  return { run: name, step: at ? Number(at) : null, ...common };
}

// ---------------------------------------------------------------- the address

function write() {
  document.body.dataset.tab = state.selection.tab; // the Live tab reads no text and no head
  if (!state.info) return; // what the address says has not been read yet
  const url = new URL(window.location);
  for (const name of FIELDS) {
    const value = state.selection[name];
    if (value === null || value === DEFAULTS[name]) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  const kept = [...url.searchParams.keys()].filter((name) => !FIELDS.includes(name) && !options.has(name));
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
    state.failure = error;
  }
  emit("info", ...FIELDS);
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  if (state.selection.token !== null) select({ token: null });
  else lockHead(false);
});

ask();
