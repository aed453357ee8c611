// The shared wrapper of every panel: asks for what it shows, and wears one of five states,
//   empty    says what fills it
//   loading  nothing to show yet (seen after 200 ms)
//   stale    shows an earlier selection while the new one is computed (marked after 200 ms)
//   error    one sentence, an id, a way to try again
//   ready

import { analysis, longAnalysis } from "./client.js";
import { onTheme } from "./colour.js";
import { h, replace } from "./dom.js";
import { numbersOf } from "./export.js";
import { asked, on, state } from "./store.js";

const PATIENCE = 200;

// `view`: { request(selection) → [[kind, body], …], or a sentence saying what is missing, or { empty: that sentence,
// action: [label, function] } with what fills it; show(...answers): new numbers; update(changed): the same numbers,
// another selection; draw(): another size or theme; ask(kind, body): the answer, where it does not come from an analysis;
// numbers(): what is exported as JSON, by default the answers }. A request [kind, body, "long"] tells how far it is, and
// is given up when another selection is asked for.
export function panel(element, view) {
  const root = element.querySelector(".lab-panel");
  const [body, message, badge] = [".lab-body", ".lab-message", ".lab-badge"].map((name) => root.querySelector(name));
  let asking = 0, shown = null, wanted = null, timer = null, width = 0, label = "", running = null, exported = [];

  function wear(name, text = "", extra = null) {
    root.dataset.state = name;
    badge.textContent = name === "stale" ? text : "";
    replace(message, name === "stale" || name === "ready" ? null : text, extra);
    if (name !== "ready") root.setAttribute("aria-busy", String(name === "loading" || name === "stale"));
    else root.removeAttribute("aria-busy");
  }

  async function ask(requests, key) {
    const mine = begin();
    wanted = key;
    running = new AbortController();
    const { signal } = running;
    let waited = false, far = null;
    const wait = () => {
      if (mine !== asking || !waited) return;
      const words = far ? `computing… ${far.done} of ${far.of}` : "computing…";
      const bar = far ? h("progress", { value: far.done, max: far.of, "aria-label": "how much is done" }) : null;
      if (shown === null) wear("loading", words, bar);
      else wear("stale", `showing ${label}; ${words}`);
    };
    timer = window.setTimeout(() => {
      waited = true;
      wait();
    }, PATIENCE);
    const told = (done, of) => {
      far = { done, of };
      wait();
    };
    try {
      const answers = await Promise.all(
        requests.map((
          [kind, content, long],
        ) => (long ? longAnalysis(kind, content, told, signal) : (view.ask ?? analysis)(kind, content))),
      );
      if (mine !== asking) return;
      [shown, label] = [key, describe()];
      exported = requests.map(([kind, content], i) => ({ analysis: kind, asked: { ...content, packed: undefined },
        answer: answers[i] })
      );
      wear("ready");
      view.show(...answers);
      root.dataset.shown = Number(root.dataset.shown ?? 0) + 1;
    } catch (error) {
      if (mine !== asking) return;
      shown = null;
      fail(error);
    } finally {
      if (mine === asking) window.clearTimeout(timer);
    }
  }

  // Whatever was asked before no longer counts.
  function begin() {
    window.clearTimeout(timer);
    running?.abort();
    running = null;
    return ++asking;
  }

  function fail(error) {
    if (error.id === undefined) console.error(error);
    const again = h("button", { class: "lab-button", onclick: () => {
      wanted = null;
      refresh(new Set());
    } }, "Try again");
    const code = error.id
      ? h("code", { title: "the server’s log has the details under this id" }, `id ${error.id}`)
      : null;
    wear("error", "", h("span", {}, h("b", {}, sentence(error)), " ", code ?? "", " ", again));
  }

  function refresh(changed) {
    if (!root.offsetParent || !state.info) {
      if (state.failure && root.offsetParent) fail(state.failure);
      return;
    }
    if (!state.info.runs.length)
      return rest("There is no run in this folder yet. Start one: python -m lab fit --config configs/quickstart.yaml");
    if (!view.anyModel && state.info.problem) return rest(sentence({ message: state.info.problem }));
    if (!view.anyModel && !state.info.model)
      return rest("This run has no weights yet: the first snapshot is written at step 0.");
    const requests = view.request(state.selection);
    if (typeof requests === "string") return rest(requests);
    if (requests.empty)
      return rest(requests.empty,
        h("button", { class: "lab-button", onclick: requests.action[1] }, requests.action[0]));
    const key = JSON.stringify(requests);
    if (key === shown && key === wanted) {
      if (view.update) view.update(changed);
    } else if (key !== wanted) ask(requests, key);
  }

  function rest(text, action = null) {
    begin();
    [shown, wanted] = [null, null];
    wear("empty", text, action);
  }

  numbersOf(root, () => (view.numbers ? view.numbers() : exported));
  on(refresh);
  onTheme(() => shown && view.draw && view.draw());
  new ResizeObserver(() => {
    if (body.clientWidth === width) return;
    width = body.clientWidth;
    if (!root.offsetParent) return;
    refresh(new Set());
    if (shown && view.draw) view.draw();
  }).observe(root);
  root.dataset.mounted = "yes";
  refresh(new Set());
  return { root, body, refresh: () => refresh(new Set()) };
}

export const bodyOf = (element) => element.querySelector(".lab-body");
export const actionsOf = (element) => element.querySelector(".lab-actions");

// The usual request: one analysis of A, and the same of B where the panel compares.
export const of = (kind, compares = false) => (selection) => {
  const requests = [[kind, asked()]];
  if (compares && selection.compare) requests.push([kind, asked("b")]);
  return requests;
};

const describe = () => `step ${state.selection.step ?? "?"} of ${state.selection.run}`;

function sentence(error) {
  const text = String(error.message ?? error);
  return text.charAt(0).toUpperCase() + text.slice(1);
}
