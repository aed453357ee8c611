// The Live tab: a run as it trains (or as it trained), and the means to steer it and to start another.

import { get } from "./lib/client.js";
import { h, replace } from "./lib/dom.js";
import { bodyOf, part } from "./lib/panel.js";
import { ask as askAgain, on, select, state } from "./lib/store.js";
import { Connection } from "./live/connection.js";
import { Controls } from "./live/controls.js";
import { CurrentNumbers } from "./live/current_numbers.js";
import { clock } from "./live/describe.js";
import { EventList } from "./live/event_list.js";
import { RunCharts } from "./live/run_charts.js";
import { RunData } from "./live/run_data.js";
import { RunHead } from "./live/run_head.js";
import { Samples } from "./live/samples.js";
import { StartForm } from "./live/start_form.js";

const OTHERS_MS = 5000; // between two looks at which other runs there are
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
  /** @type {Connection | null} */
  #connection = null;
  /** @type {Lab.Status | null} */
  #status = null;
  /** @type {Lab.Facts} */
  #facts = {};
  /** @type {Lab.Link} */
  #link = "lost";
  /** @type {number | null} since when */
  #lostAt = null;
  #heardAt = 0; // the last message
  #waiting = false; // for the next picture
  #told = ""; // the state that the header and the sidebar were told of
  #data = new RunData();
  #controls = new Controls(() => this.#run, () => this.#showHead());
  #charts = new RunCharts(this.#data, (marker) => this.#mark(marker), () => this.#refresh());
  #numbers = new CurrentNumbers();
  #events = new EventList((event) => this.#charts.look(event));
  #samples = new Samples((prompt) => this.#controls.ask("sample", { prompt }));
  #form = new StartForm((run) => this.#begin(run));
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
    replace(bodyOf(element), this.#cut, this.#form.root, this.#shown);
    on((changed) => {
      if (changed.has("info") || changed.has("run")) this.#follow();
    });
    window.setInterval(() => this.#tick(), 1000);
    window.setInterval(() => this.root.offsetParent && !document.hidden && this.#lookAround(), OTHERS_MS);
    new ResizeObserver(() => this.root.offsetParent && this.#refresh()).observe(this.root);
    this.#follow();
    this.root.dataset.mounted = "yes";
  }

  // ---------------------------------------------------------------- which run

  #follow() {
    const { info, selection } = state;
    // The run that the address names is followed before the server has opened its model, which may take a while.
    const named = info ? null : new URLSearchParams(window.location.search).get("run");
    if (!info && (!named || this.#run)) return;
    if (info && selection.run !== this.#before) this.#begun = null; // another was chosen
    const chosen = info?.runs.find((run) => run.name === selection.run);
    const wanted = named ?? this.#begun ?? (chosen?.kind === "run" ? chosen.name : null);
    if (info) this.#form.known(info.runs);
    if (wanted !== this.#run) this.#connect(wanted);
    if (!wanted) this.#showNone(chosen);
    if (info) this.#lookAround();
    this.#refresh();
  }

  /** @param {string | null} run */
  #connect(run) {
    this.#connection?.close();
    [this.#run, this.#status, this.#facts, this.#told] = [run, null, {}, ""];
    this.#forget();
    this.#controls.forget();
    if (run) this.#connection = new Connection(run, this.#handlers(run));
  }

  #forget() {
    this.#data.reset();
    this.#charts.forget();
  }

  /** No run to show: the form stands there, or why there is nothing to follow. @param {Lab.Run | undefined} chosen */
  #showNone(chosen) {
    this.#cut.hidden = !chosen;
    this.#cut.dataset.link = "none";
    this.#cut.textContent = chosen
      ? `${chosen.name} is a published model: it was not trained here, so there is nothing to follow.`
      : "";
    if (!chosen && this.#form.root.hidden) this.#form.open(true);
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
      this.#heardAt = Date.now();
      act(message);
      this.#refresh();
    };
    return {
      hello: grown(({ reset, status, facts }) => {
        if (reset) this.#forget();
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
      heartbeat: ({ heartbeat_age: age }) => {
        if (mine !== this.#run) return;
        this.#heardAt = Date.now();
        if (this.#status) this.#status.heartbeat_age = age;
      },
      link: (link, reason) => {
        if (mine !== this.#run) return;
        this.#lostAt = link === "open" ? null : this.#lostAt ?? Date.now();
        this.#link = link;
        this.#showLink(reason);
      },
    };
  }

  /** @param {string | null} reason why the server does not show the run */
  #showLink(reason) {
    if (!this.#run) return;
    this.#cut.hidden = this.#link === "open" || !state.info;
    if (this.#cut.hidden) return;
    this.root.dataset.state = "ready";
    const lost = this.#lostAt ?? Date.now();
    const since = Date.now() - lost > BROKEN_MS ? ` since ${clock(lost / 1000)}` : "";
    this.#cut.textContent = this.#link === "refused"
      ? `The server does not show this run: ${reason ?? "no reason given"}`
      : `No connection to the page’s server${since}; trying again. The training does not depend on it.${
        this.#heardAt ? "" : " Behind a proxy: it has to pass WebSockets on."
      }`;
    this.#cut.dataset.link = this.#link;
  }

  #tick() {
    if (!this.root.offsetParent) return;
    this.root.dataset.silence = this.#heardAt ? String(Math.round((Date.now() - this.#heardAt) / 1000)) : "";
    if (this.#link === "lost") this.#showLink(null);
    if (["stale", "failed", "stopped"].includes(this.#status?.state ?? "")) this.#showHead();
  }

  async #lookAround() {
    try {
      /** @type {Lab.Run[]} */
      const all = await get("api/runs");
      const names = (/** @type {Lab.Run[]} */ runs) => runs.map((run) => run.name).sort().join("/");
      if (state.info && names(all) !== names(state.info.runs)) askAgain();
      const others = all.filter((run) =>
        ["starting", "running", "paused"].includes(run.state) && run.name !== this.#run
      );
      replace(this.#others, ...others.slice(0, MOST_OTHERS).map(otherRun));
    } catch {
      // The connection to the run says already that the server is away.
    }
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
    this.#numbers.show(data, status, this.#facts, this.#charts.view.smoothing);
    this.#events.show(data.events);
    this.#samples.show(data.standing(data.samples));
    const { commands, reason } = status.control;
    this.#samples.can(commands.includes("sample"), reason ?? "this run is not training");
    Object.assign(this.root.dataset, { run, rows: data.get("train/loss").n, state: "ready", status: status.state,
      last: data.latest("train/loss")?.step ?? "" });
    const key = `${status.state} ${status.checkpoint?.step}`;
    // The header, the list of runs and the snapshots in the sidebar follow.
    if (this.#told && this.#told !== key) askAgain();
    this.#told = key;
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
function otherRun({ name, state: status, step, total_steps: total }) {
  const far = total && step !== null ? `${Math.floor((100 * step) / total)} %` : status;
  return h("button", { class: "lab-button lab-other", title: "show this run", data: { run: name },
    onclick: () => select({ run: name }) }, h("i", { data: { state: status } }), `${name} `, h("small", {}, far));
}
