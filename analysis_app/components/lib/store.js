// The one selection. Everything on the page reads it here, any click writes it here, and the address follows. What the
// server says of the selected run lies beside it, and is kept true by what is pushed (lib/flow.js).

import { get } from "./client.js";
import { flow } from "./flow.js";

/** @type {(keyof Lab.Selection)[]} */
const FIELDS = ["run", "step", "compare", "text", "layer", "head", "token", "part", "tab"];
/** @type {Partial<Lab.Selection>} */
const DEFAULTS = { layer: 0, head: 0, tab: "live" };
/** @param {string} name */
const isField = (name) => FIELDS.some((field) => field === name);
/** What Back undoes; whatever is dragged is none of it. @type {(keyof Lab.Selection)[]} */
const STATIONS = ["run", "tab", "layer", "head"];
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
  opening: false, // another run was selected, of which the server has not said anything yet
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
  if (changed.includes("run")) state.selection.step = patch.step ?? null;
  write(changed.some((name) => STATIONS.includes(name)));
  if (changed.includes("run")) {
    state.opening = true;
    emit("opening");
    ask();
  } else if (changed.includes("step") && state.info?.problem) ask(); // of the weights before, which had no model
  else emit(...changed);
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

/** The weights of a run as they are now. @param {string | null} run */
const weightsOf = (run) =>
  flow.weights.get(run ?? "")?.weights ?? (run === state.selection.run ? state.info?.weights : null) ?? [];

/**
 * What an answer is computed from: the hash of the weights that are named, or those of all of the run; of several runs
 * their files, which grow and are followed.
 * @param {{ run?: string | null, step?: number | null, runs?: string[] }} asked
 */
export function contentOf({ run = null, step = null, runs }) {
  if (runs) return runs.map((name) => flow.lives.get(name) ?? 0).join();
  const rows = weightsOf(run);
  if (step === null) return rows.map(({ sha256 }) => sha256.slice(0, 8)).join();
  return rows.find((row) => row.step === step && !row.problem)?.sha256 ?? "";
}

/**
 * From what an answer is, in words: the run, the step and the hash of its weights; how many there are where it is of
 * all of them; of several runs how far each was.
 * @param {{ run?: string | null, step?: number | null, runs?: string[] }} asked
 */
export function sourceOf({ run = null, step = null, runs = [] }) {
  const of = (/** @type {string} */ name) => state.info?.runs.find((one) => one.name === name)?.step ?? "?";
  if (runs.length) return runs.map((name) => `${name} @ ${of(name)}`).join(", ");
  const rows = weightsOf(run).filter((row) => !row.problem), row = rows.find((one) => one.step === step);
  if (row) return `${run} @ ${step}, ${row.sha256.slice(0, 8)}`;
  return rows.length ? `${run}, ${rows.length} weights up to step ${rows[rows.length - 1].step ?? "?"}` : `${run}`;
}

/** The same of several answers, each once. @param {Parameters<typeof sourceOf>[0][]} all */
export const sourcesOf = (all) => [...new Set(all.map(sourceOf))].join(" and ");

// ---------------------------------------------------------------- what is pushed

/** @type {Map<string, () => void>} the runs that are followed, and how to end it */
const followed = new Map();

/** The selected run, and the one that it is compared with. */
function follow() {
  const { run, compare } = state.selection, runs = state.info?.runs ?? [];
  const wanted = [run, compare?.split("@")[0]].filter((name) =>
    runs.some((one) => one.name === name && one.kind === "run" && one.state !== "broken")
  );
  for (const [name, end] of followed) {
    if (wanted.includes(name)) continue;
    end();
    followed.delete(name);
  }
  for (const name of wanted) if (name && !followed.has(name)) followed.set(name, flow.follow(name, null));
}

flow.on((news, run) => {
  const { info, selection } = state;
  if (news === "link" && flow.open && (state.failure || !info)) return void ask();
  if (!info || state.opening) return;
  if (news === "runs" && flow.runs) list(info, flow.runs);
  if (news === "weights" && run === selection.run) weigh(info, flow.weights.get(run ?? ""));
  emit(news);
});

/** @param {Lab.Info} info @param {Lab.Run[]} runs */
function list(info, runs) {
  const { run } = state.selection, there = runs.some(({ name }) => name === run), before = info.runs;
  info.runs = runs;
  follow();
  if (there === before.some(({ name }) => name === run)) return;
  if (there || run === null) return void ask();
  // It may come back, trained anew: it stays selected.
  Object.assign(info, { weights: [], steps: [], model: null, problem: `run ${run} is no longer in this folder` });
  emit("info");
}

/**
 * The weights are others: so may be the model, and what can be selected.
 * @param {Lab.Info} info
 * @param {Partial<Lab.Info>} [found]
 */
function weigh(info, { weights = [], steps = [] } = {}) {
  const hash = () => info.weights.find(({ step }) => step === state.selection.step)?.sha256;
  const before = hash();
  Object.assign(info, { weights, steps });
  if (!steps.length) Object.assign(info, { model: null });
  else if (hash() !== before || !info.model) ask();
}

// ---------------------------------------------------------------- the address

/** @param {boolean} [station] whether Back returns to what was before */
function write(station = false) {
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
  if (station && url.href !== window.location.href) window.history.pushState(null, "", url);
  else window.history.replaceState(null, "", url);
}

window.addEventListener("popstate", () => {
  const tab = new URLSearchParams(window.location.search).get("tab") ?? DEFAULTS.tab;
  options.clear();
  new URLSearchParams(window.location.search).forEach((value, name) => isField(name) || options.set(name, value));
  Object.assign(state.selection, { tab, token: null });
  /** @type {HTMLElement | null} */
  const button = document.querySelector(`#lab-tabs [role=tab][data-tab-id="${tab}"]`);
  button?.click();
  ask();
});

let asking = 0;

export async function ask(search = window.location.search) {
  const mine = ++asking;
  try {
    const { selection, ...info } = await get(`api/selection${search}`);
    if (mine !== asking) return;
    // What was pushed meanwhile is newer than the answer.
    if (flow.runs?.some(({ name }) => name === selection.run)) info.runs = flow.runs;
    Object.assign(state, { info, failure: null, opening: false });
    state.headLocked ||= /[?&](layer|head)=/.test(search);
    Object.assign(state.selection, selection);
    write();
    follow();
  } catch (error) {
    if (mine !== asking) return;
    Object.assign(state, { failure: error instanceof Error ? error : new Error(String(error)), opening: false });
  }
  emit("info", ...FIELDS);
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  if (state.selection.token !== null) select({ token: null });
  else lockHead(false);
});

ask();
