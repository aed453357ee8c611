// The Live tab: a run as it trains (or as it trained), and the means to steer it and to start another.

import { messageOf } from "./lib/client.js";
import { asOf, h, replace } from "./lib/dom.js";
import { flow } from "./lib/flow.js";
import { bodyOf, part } from "./lib/panel.js";
import { ask, on, select, state } from "./lib/store.js";
import { Controls } from "./live/controls.js";
import { CurrentNumbers } from "./live/current_numbers.js";
import { clock } from "./live/describe.js";
import { EventList } from "./live/event_list.js";
import { FailedStarts } from "./live/failed_starts.js";
import { RunCharts } from "./live/run_charts.js";
import { RunData } from "./live/run_data.js";
import { RunHead } from "./live/run_head.js";
import { Samples } from "./live/samples.js";
import { StartForm } from "./live/start_form.js";

const MOST_OTHERS = 6;
const BROKEN_MS = 1500; // after which it is said since when the connection is lost

/** @param {Element} element */
export const mount = (element) => new Live(element);

/** @param {string} title @param {HTMLElement} node */
const card = (title, node) =>
  h("section", { class: "lab-card" }, h("header", {}, h("div", { class: "lab-title" }, h("h2", {}, title))), node);

class Live {
  /** @type {string | null} the run that is followed */
  #run = null;
  /** @type {string | null} a run that was started here and has no directory yet */
  #begun = null;
  /** @type {string | null} what was selected when it was started */
  #before = null;
  /** @type {(() => void) | null} follows it no longer */
  #leave = null;
  /** @type {Lab.Status | null} */
  #status = null;
  /** @type {Lab.Facts} */
  #facts = {};
  /** @type {string | null} why the server does not show the run */
  #refused = null;
  #none = ""; // why there is nothing to follow
  #waiting = false; // for the next picture
  #data = new RunData();
  #controls = new Controls(() => this.#run, () => this.#showHead());
  #charts = new RunCharts(this.#data, (marker) => this.#mark(marker), () => this.#refresh());
  #numbers = new CurrentNumbers();
  #events = new EventList((event) => this.#charts.look(event));
  #samples = new Samples((prompt) => this.#controls.ask("sample", { prompt }));
  #form = new StartForm((run) => this.#begin(run));
  #failed = new FailedStarts();
  #cut = h("div", { class: "lab-cut", hidden: true, role: "status" });
  #others = h("nav", { class: "lab-others", "aria-label": "other runs that train now" });
  #new = h("button", { class: "lab-button", id: "lab-new-run", "aria-expanded": "false",
    onclick: () => this.#form.open(Boolean(this.#form.root.hidden)) }, "New run");
  #head = new RunHead(this.#controls, this.#others, this.#new);
  #shown = h("div", { class: "lab-live" }, this.#head.root,
    h("div", { class: "lab-live-main" }, this.#charts.loss, card("Now", this.#numbers.root)), this.#charts.small,
    h("div", { class: "lab-live-foot" }, card("Findings and events", this.#events.root),
      card("Samples", this.#samples.root)));

  /** @param {Element} element */
  constructor(element) {
    this.root = part(element, ".lab-panel");
    replace(bodyOf(element), this.#cut, this.#failed.root, this.#form.root, this.#shown);
    on((changed) => {
      if (["info", "run", "opening"].some((name) => changed.has(name))) this.#follow();
      if (changed.has("runs")) this.#lookAround();
      if (changed.has("link")) this.#showLink();
    });
    window.setInterval(() => this.#tick(), 1000);
    new ResizeObserver(() => this.root.offsetParent && this.#refresh()).observe(this.root);
    this.#follow();
    this.root.dataset.mounted = "yes";
  }

  // ---------------------------------------------------------------- which run

  #follow() {
    const { info, selection } = state;
    // The run that the address names is followed before the server has opened its model, which may take a while.
    const named = info ? null : new URLSearchParams(window.location.search).get("run");
    this.#none = "";
    if (!info && (!named || this.#run)) return this.#showLink();
    if (info && selection.run !== this.#before) this.#begun = null; // another was chosen
    const chosen = info?.runs.find((run) => run.name === selection.run);
    const wanted = named ?? this.#begun ?? (chosen?.kind === "folder" ? null : selection.run);
    if (wanted !== this.#run) this.#connect(wanted);
    if (!wanted) this.#showNone(chosen);
    this.#showLink();
    this.#lookAround();
    this.#refresh();
  }

  /** @param {string | null} run */
  #connect(run) {
    this.#leave?.();
    [this.#run, this.#status, this.#facts, this.#refused] = [run, null, {}, null];
    this.#forget();
    this.#controls.forget();
    this.#leave = run ? flow.follow(run, "", this.#handlers(run)) : null;
  }

  #forget() {
    this.#data.reset();
    this.#charts.forget();
  }

  /** No run to show: the form stands there, or why there is nothing to follow. @param {Lab.Run | undefined} chosen */
  #showNone(chosen) {
    if (chosen)
      this.#none = `${chosen.name} is a published model: it was not trained here, so there is nothing to follow.`;
    else if (state.info && this.#form.root.hidden) this.#form.open(true);
    this.root.dataset.state = "ready";
  }

  /** It was started from the form: followed at once, and chosen once its directory is there. @param {string} run */
  #begin(run) {
    [this.#begun, this.#before] = [run, state.selection.run];
    this.#follow();
  }

  /** @param {Lab.Status} status */
  #arrive(status) {
    const run = this.#run;
    this.#status = status;
    if (this.#begun === null || run !== this.#begun || status.recorded_state === null) return;
    this.#begun = null;
    select({ run, step: null });
  }

  // ---------------------------------------------------------------- its messages

  /** @param {string} mine @returns {Lab.MessageHandlers} */
  #handlers(mine) {
    const data = this.#data;
    /** @template Message @param {(message: Message) => void} act @returns {(message: Message) => void} */
    const grown = (act) => (message) => {
      if (mine !== this.#run) return;
      act(message);
      this.#refresh();
    };
    return {
      hello: grown(({ reset, status, facts }) => {
        if (reset) this.#forget();
        this.#refused = null;
        this.#showLink();
        this.#facts = facts ?? {};
        this.#arrive(status);
      }),
      metrics: grown((message) => data.metrics(message)),
      rewind: grown((message) => data.rewind(message)),
      events: grown((message) => {
        data.add(message);
        this.#controls.answered(message.events);
      }),
      samples: grown((message) => data.add(message)),
      status: grown(({ status }) => this.#arrive(status)),
      error: grown(({ reason }) => {
        this.#refused = `The server does not show this run: ${reason}`;
        this.#showLink();
      }),
    };
  }

  /** What stands between the page and the run. */
  #showLink() {
    const { open, heardAt, lostAt } = flow, { failure } = state, since = Date.now() - lostAt > BROKEN_MS;
    const lost = !open && (heardAt || since);
    const text = lost
      ? `No connection to the page’s server${
        since ? ` since ${clock(lostAt / 1000)}` : ""
      }; trying again. The training `
        + `does not depend on it.${heardAt ? "" : " Behind a proxy: it has to pass WebSockets on."}`
      : failure
      ? `The page’s server did not say which runs there are: ${messageOf(failure)}. `
      : this.#refused ?? this.#none;
    this.#cut.hidden = !text;
    if (!text) return;
    this.root.dataset.state = "ready";
    this.#cut.dataset.link = lost ? "lost" : this.#none ? "none" : "refused";
    const again = failure && !lost ? h("button", { class: "lab-button", onclick: () => ask() }, "Try again") : null;
    if (this.#cut.firstChild?.textContent !== text || (again && !this.#cut.querySelector("button")))
      replace(this.#cut, text, again);
  }

  #tick() {
    if (!this.root.offsetParent) return;
    this.root.dataset.silence = flow.heardAt ? String(Math.round((Date.now() - flow.heardAt) / 1000)) : "";
    if (!flow.open) this.#showLink();
    if (["stale", "failed", "stopped"].includes(this.#status?.state ?? "")) this.#showHead();
  }

  /** The other runs that train now, and what could not start. */
  #lookAround() {
    this.#failed.show(flow.failedStarts.filter(({ run }) => run !== this.#begun));
    const others = (state.info?.runs ?? []).filter((run) =>
      ["starting", "running", "paused"].includes(run.state) && run.name !== this.#run
    ).slice(0, MOST_OTHERS);
    const names = JSON.stringify(others.map(({ name }) => name)), old = this.#others;
    // The same buttons stay, so that a click on its way still finds one.
    if (old.dataset.names !== names) replace(old, ...others.map(otherRun));
    else others.forEach((run, i) => old.children[i].querySelector("small")?.replaceChildren(farOf(run)));
    old.dataset.names = names;
    if (state.info) this.#form.known(state.info.runs);
  }

  // ---------------------------------------------------------------- drawing

  /**
   * Messages come faster than a screen shows pictures, and a long curve may take an eighth of the time at most: the
   * machine has a model to train.
   */
  #refresh() {
    if (this.#waiting) return;
    this.#waiting = true;
    const { cost } = this.#charts;
    window.setTimeout(() =>
      window.requestAnimationFrame(() => {
        this.#waiting = false;
        this.#draw();
      }), Math.min(400, cost < 5 ? 0 : 8 * cost));
  }

  #draw() {
    if (!this.root.offsetParent) return;
    const run = this.#run, status = this.#status, data = this.#data;
    this.#shown.hidden = !run;
    this.#new.hidden = !run;
    if (!run || !status) return;
    this.#showHead();
    this.#charts.draw(this.#facts);
    this.#numbers.show(data, status, this.#facts);
    this.#events.show(data.events);
    this.#samples.show(data.standing(data.samples));
    const { commands, reason } = status.control;
    this.#samples.can(commands.includes("sample"), reason ?? "this run is not training");
    const source = asOf(`${run} @ ${status.step ?? "?"}`, new Date(flow.heardAt));
    Object.assign(this.root.dataset, { source, run, rows: data.get("train/loss").n, state: "ready",
      status: status.state, last: data.latest("train/loss")?.step ?? "" });
  }

  #showHead() {
    if (this.#run && this.#status) this.#head.show(this.#run, this.#status, this.#data.lostAt);
  }

  /** @param {Lab.Marker} marker */
  #mark({ kind, step, event }) {
    if (kind === "sample") this.#samples.jump(step);
    else if (kind === "finding") this.#charts.look(event);
    else if (kind === "checkpoint") select({ step });
  }
}

/** @param {Lab.Run} run */
const farOf = ({ state: status, step, total_steps: total }) =>
  total && step !== null ? `${Math.floor((100 * step) / total)} %` : status;

/** @param {Lab.Run} run */
const otherRun = (run) =>
  h("button", { class: "lab-button lab-other", title: "show this run", data: { run: run.name }, onclick: () =>
    select({ run: run.name }) }, h("i", { data: { state: run.state } }), `${run.name} `, h("small", {}, farOf(run)));
