// Every checkpoint and snapshot of the run, from the facts beside them. A click looks at it.

import { analysis } from "./lib/answers.js";
import { idOf, messageOf } from "./lib/client.js";
import { ago, bytes, count, fixed, h, replace, short } from "./lib/dom.js";
import { panel } from "./lib/panel.js";
import { select, state } from "./lib/store.js";
import { curveLoss, valText } from "./lib/validation.js";

const COLUMNS = ["step", "tokens", "train", "val", "probe", "kind", "size", "written", "compare"];
const PROBE = "loss on the run’s fixed probe text, nats per token";

/** @param {Element} element */
export function mount(element) {
  const badge = h("div", { class: "lab-proof", role: "status" });
  /** @type {Map<string, HTMLTableRowElement>} by what they show */
  let rows = new Map();
  const body = h("tbody", { onclick: click, onkeydown: move });
  const head = h("tr", {},
    ...COLUMNS.map((name) => h("th", { scope: "col", title: name === "probe" ? PROBE : null }, name)));
  const found = panel(element, {
    anyModel: true,
    request: () => (weights().length
      ? []
      : "No weights yet: a run writes snapshots at the steps 0, 1, 2, 4, 8, … and checkpoints as it goes."),
    show: fill,
    numbers: weights,
    update(changed) {
      if (["info", "weights"].some((name) => changed.has(name))) fill();
      else if (["step", "compare", "run"].some((name) => changed.has(name))) mark();
    },
  });
  replace(found.body, badge,
    h("div", { class: "lab-scroll lab-tall", tabindex: 0, role: "region", "aria-label": "table of all weights" },
      h("table", { class: "lab-table" }, h("thead", {}, head), body)));

  function fill() {
    const best = Math.min(...weights().map((w) => curveLoss(w) ?? Infinity));
    rows = new Map([...weights()].reverse().map((w) => {
      const isBest = curveLoss(w) === best, key = JSON.stringify([w, isBest]), node = rows.get(key) ?? row(w, isBest);
      node.querySelector(".lab-age")?.replaceChildren(ago(w.wall));
      return [key, node];
    }));
    setRows(body, [...rows.values()]);
    mark();
  }

  function mark() {
    const { run, step, compare } = state.selection;
    for (const node of body.rows) {
      const chosen = isOpen(node) && stepOf(node) === step;
      node.classList.toggle("lab-chosen", chosen);
      node.setAttribute("aria-selected", String(chosen));
      node.querySelector("button")?.setAttribute("aria-pressed", String(compare === `${run}@${stepOf(node)}`));
    }
    prove(badge);
  }
}

const weights = () => state.info?.weights ?? [];

// ---------------------------------------------------------------- rows

/**
 * Puts rows into a table's body; those that stay are not touched, so that a click on its way still finds its row.
 * @param {HTMLElement} body
 * @param {HTMLElement[]} rows
 */
function setRows(body, rows) {
  [...body.children].filter((node) => !rows.some((row) => row === node)).forEach((node) => node.remove());
  let at = body.firstElementChild;
  for (const row of rows) {
    if (row === at) at = at.nextElementSibling;
    else body.insertBefore(row, at);
  }
}

/** @param {Lab.Weights} w @param {boolean} best whether its validation loss is the lowest */
function row(w, best) {
  const cells = [count(w.step), short(w.tokens), fixed(w.train_loss), valText(w), fixed(w.probe_loss)];
  const compare = h("button", { class: "lab-button", title: "compare the selected weights with these" }, "as B");
  return h("tr", { class: w.problem ? "lab-damaged" : "lab-row", tabindex: w.problem ? null : 0,
    data: { file: w.file, step: w.step ?? "" }, title: w.file },
    ...cells.map((value, i) => h("td", { class: i === 3 && best ? "lab-number lab-best" : "lab-number" }, value)),
    h("td", {}, ...w.aliases.map((name) => h("span", { class: "lab-tag" }, name)),
      h("span", { class: "lab-kind" }, w.kind)), h("td", { class: "lab-number" }, bytes(w.size)), w.problem
    ? h("td", { class: "lab-problem", colspan: 2 }, w.problem)
    : h("td", { class: "lab-number lab-age" }), w.problem ? null : h("td", {}, w.step === null ? null : compare));
}

/** @param {HTMLElement} node */
const isOpen = (node) => node.classList.contains("lab-row");
/** @param {HTMLElement} node */
const stepOf = (node) => (node.dataset.step ? Number(node.dataset.step) : null);

/** The row of an event that looks at weights or compares them; none where it is damaged. @param {Event} event */
function rowOf({ target }) {
  const node = target instanceof Element ? target.closest("tr") : null;
  return node && isOpen(node) ? node : null;
}

/** @param {MouseEvent} event */
function click(event) {
  const node = rowOf(event), step = node && stepOf(node);
  if (step === null) return;
  if (!(event.target instanceof Element && event.target.closest("button"))) return select({ step });
  const name = `${state.selection.run}@${step}`;
  select({ compare: state.selection.compare === name ? null : name });
}

/** @param {KeyboardEvent} event */
function move(event) {
  const node = rowOf(event), step = node && stepOf(node);
  if (event.key === "Enter" && event.target === node && step !== null) select({ step });
  const next = event.key === "ArrowDown"
    ? node?.nextElementSibling
    : event.key === "ArrowUp"
    ? node?.previousElementSibling
    : null;
  if (!(next instanceof HTMLElement)) return;
  event.preventDefault();
  next.focus();
}

// ---------------------------------------------------------------- the proof

/** Whether the selected weights reproduce the loss that was recorded with them. @param {HTMLElement} badge */
async function prove(badge) {
  const { run, step } = state.selection;
  const stale = () => run !== state.selection.run || step !== state.selection.step;
  if (!state.info?.model) return void replace(badge, state.info?.problem ?? "");
  if (step === null) {
    return void replace(badge, "A published model: one set of weights, with no losses recorded that could be checked.");
  }
  try {
    /** @type {Lab.Reproduction} */
    const { reproduces, explanation } = await analysis("reproduction", { run, step });
    if (stale()) return;
    const verdict = reproduces === null
      ? `– Step ${count(step)} cannot be checked`
      : reproduces
      ? `✓ Step ${count(step)} reproduces its recorded loss`
      : `✗ Step ${count(step)} does not reproduce its recorded loss`;
    badge.dataset.reproduces = String(reproduces);
    replace(badge, h("b", {}, verdict), h("span", {}, ` · ${explanation}`));
  } catch (error) {
    if (!stale()) {
      badge.dataset.reproduces = "error";
      replace(badge, h("b", {}, messageOf(error)), " ", h("code", {}, idOf(error)));
    }
  }
}
