// The Live tab: a run as it trains (or as it trained), and the means to steer it and to start another.

import { chartGroup, lineChart } from "./lib/chart.js";
import { get } from "./lib/client.js";
import { choice, fixed, h, replace } from "./lib/dom.js";
import { bodyOf } from "./lib/panel.js";
import { brief } from "./lib/scale.js";
import { ask as askAgain, on, select, state } from "./lib/store.js";
import { connect } from "./live/connection.js";
import { steering } from "./live/controls.js";
import { History } from "./live/history.js";
import { journal } from "./live/journal.js";
import { numbers } from "./live/now.js";
import { sampler } from "./live/samples.js";
import { starter } from "./live/start.js";
import { clock, markersOf, progressOf, stateOf, timesOf, troubleOf } from "./live/words.js";

const OTHERS_MS = 5000; // between two looks at which other runs there are
const KEPT = "lab-live-view"; // how the chart is looked at, remembered in this browser
const SMALL = [["train/lr", "Learning rate"], ["train/grad_norm", "Gradient norm"], ["perf/tokens_per_second",
  "Tokens/s"], ["stats/update_ratio", "Update / weight"]];

export function mount(element) {
  const root = element.querySelector(".lab-panel"), history = new History(), group = chartGroup();
  const view = { x: "step", logX: false, logY: false, smoothing: 0.9, ...remembered() };
  let run = null, begun = null, before = null, line = null, status = null, facts = {}, link = "lost", linkLost = null,
    heard = null, frame = null, told = "";
  const controls = steering(() => run, () => status && head());
  const happenings = journal(look), now = numbers(), writing = sampler((prompt) => controls.ask("sample", { prompt }));
  const form = starter(began);

  // ---------------------------------------------------------------- what stands where

  const pill = h("span", { class: "lab-state" }), name = h("h2", {}),
    bar = h("div", { class: "lab-progress", role: "progressbar", "aria-label": "progress of the run",
      "aria-valuemin": 0, "aria-valuemax": 100 }, h("i"));
  const [progress, elapsed, left] = ["lab-how-far", "lab-elapsed", "lab-left"].map((c) => h("span", { class: c }));
  const trouble = h("div", { class: "lab-trouble", hidden: true, role: "alert" }),
    cut = h("div", { class: "lab-cut", hidden: true, role: "status" }),
    others = h("nav", { class: "lab-others", "aria-label": "other runs that train now" });
  const fresh = h("button", { class: "lab-button", id: "lab-new-run", "aria-expanded": "false",
    onclick: () => form.open(form.root.hidden) }, "New run");
  const top = h("section", { class: "lab-card lab-live-head" },
    h("div", { class: "lab-live-title" }, pill, name, others, fresh), bar,
    h("div", { class: "lab-live-times" }, progress, elapsed, left), trouble, controls.root);
  const lossPlace = h("div"), small = SMALL.map(() => h("section", { class: "lab-card" }));
  const options = h("div", { class: "lab-live-options" },
    choice("x", [["step", "step"], ["tokens", "tokens"], ["time", "time"]], view.x, (x) => see({ x })),
    check("log x", "logX"), check("log y", "logY"),
    h("label", { class: "lab-choice lab-smooth" }, h("span", {}, "smooth"),
      h("input", { type: "range", min: 0, max: 1, step: 0.01, value: toSlider(view.smoothing),
        "aria-label": "smoothing of the training loss",
        oninput: (e) => see({ smoothing: fromSlider(e.target.valueAsNumber) }) })));
  const card = (title, node, more = null) =>
    h("section", { class: "lab-card" }, h("header", {}, h("div", { class: "lab-title" }, h("h2", {}, title)), more),
      node);
  const shown = h("div", { class: "lab-live" }, top,
    h("div", { class: "lab-live-main" }, h("section", { class: "lab-card" }, options, lossPlace),
      card("Now", now.root)), h("div", { class: "lab-live-small" }, ...small),
    h("div", { class: "lab-live-foot" }, card("Findings and events", happenings.root), card("Samples", writing.root)));
  replace(bodyOf(element), cut, form.root, shown);

  const curve = (metric, colour, style, label) => ({ name: label, data: history.get(metric), colour, style });
  const lossChart = lineChart(lossPlace, { label: "Loss", unit: "nats per token", group, height: 300, ...view,
    series: lossSeries(), onMarker: mark, empty: "the first loss comes with the first step" });
  const charts = SMALL.map(([metric, label], i) =>
    lineChart(small[i], { label, unit: "", group, height: 120, x: view.x, logX: view.logX, smoothing: view.smoothing,
      series: [
        curve(metric, "--lab-accent",
          ["train/grad_norm", "perf/tokens_per_second"].includes(metric) ? "smooth" : "line", ""),
      ] })
  );

  on((changed) => {
    if (["info", "run"].some((key) => changed.has(key))) follow();
  });
  window.setInterval(tick, 1000);
  window.setInterval(() => root.offsetParent && !document.hidden && lookAround(), OTHERS_MS);
  new ResizeObserver(() => root.offsetParent && refresh()).observe(root);
  follow();
  root.dataset.mounted = "yes";

  // ---------------------------------------------------------------- which run, and its messages

  function follow() {
    // The run that the address names is followed before the server has opened its model, which may take a while.
    const named = state.info ? null : new URLSearchParams(window.location.search).get("run");
    if (!state.info && (!named || run)) return;
    if (state.info && state.selection.run !== before) begun = null; // a person chose another
    const chosen = state.info?.runs.find((r) => r.name === state.selection.run),
      wanted = named ?? begun ?? (chosen?.kind === "run" ? chosen.name : null);
    if (state.info) form.known(state.info.runs);
    if (wanted !== run) {
      line?.close();
      [run, status, facts, told] = [wanted, null, {}, ""];
      forget();
      controls.forget();
      if (run) line = connect(run, handlers(run));
    }
    if (!run) bare(chosen);
    if (state.info) lookAround();
    refresh();
  }

  // No run to show: the form stands there, or why there is nothing to follow.
  function bare(chosen) {
    cut.hidden = !chosen;
    cut.dataset.link = "none";
    cut.textContent = chosen
      ? `${chosen.name} is a published model: it was not trained here, so there is nothing to follow.`
      : "";
    if (!chosen && form.root.hidden) form.open(true);
    root.dataset.state = "ready";
  }

  function handlers(mine) {
    const only = (fn) => (message) => mine === run && fn(message);
    const grown = (act) =>
      only((message) => {
        heard = Date.now();
        act(message);
        refresh();
      });
    return {
      hello: grown((message) => {
        if (message.reset) forget();
        [status, facts] = [message.status, message.facts ?? {}];
        arrive();
      }),
      metrics: grown((message) => history.metrics(message)),
      rewind: grown((message) => history.rewind(message)),
      events: grown((message) => {
        history.add(message);
        controls.answered(message.events);
      }),
      samples: grown((message) => history.add(message)),
      status: grown((message) => {
        status = message.status;
        arrive();
      }),
      heartbeat: only((message) => {
        heard = Date.now();
        if (status) status.heartbeat_age = message.heartbeat_age;
      }),
      link: only((found, reason) => {
        linkLost = found === "open" ? null : linkLost ?? Date.now();
        link = found;
        offline(reason);
      }),
    };
  }

  function forget() {
    history.reset();
    group.zoom = null;
    lossChart.set({ series: lossSeries(), markers: [] });
    charts.forEach((chart, i) =>
      chart.set({ series: [{ ...chart.options.series[0], data: history.get(SMALL[i][0]) }] })
    );
  }

  function lossSeries() {
    return [curve("train/loss", "--lab-train", "smooth", "train"), curve("val/loss", "--lab-val", "dots", "val")].map((
      item,
    ) => ({ ...item, format: (x) => fixed(x) }));
  }

  // ---------------------------------------------------------------- drawing

  // Messages come faster than a screen shows pictures, and a long curve may take an eighth of the time at most: the
  // machine has a model to train.
  function refresh() {
    const cost = [lossChart, ...charts].reduce((sum, chart) => sum + Number(chart.root.dataset.drawMs ?? 0), 0);
    frame ??= window.setTimeout(() =>
      window.requestAnimationFrame(() => {
        frame = null;
        draw();
      }), Math.min(400, cost < 5 ? 0 : 8 * cost));
  }

  function draw() {
    if (!root.offsetParent) return;
    shown.hidden = !run;
    fresh.hidden = !run;
    if (!run || !status) return;
    head();
    const yards = Object.entries(facts.baselines?.nats_per_token ?? {}).filter(([, v]) => typeof v === "number");
    lossChart.set({ lines: yards.map(([label, value]) => ({ value, label: `${label} ${fixed(value, 2)}` })),
      markers: markersOf(history.standing(history.events), (step) => history.place(step)),
      series: withForecast(lossSeries()) });
    charts.forEach((chart, i) => {
      const lines = SMALL[i][0] === "train/grad_norm" && facts.clip
        ? [{ value: facts.clip, label: `clip ${brief(facts.clip)}`, colour: "--lab-amber" }]
        : [];
      chart.set({ lines, unit: history.get(SMALL[i][0]).n ? "" : null });
    });
    now.show(history, status, facts, view.smoothing);
    happenings.show(history.events);
    writing.show(history.standing(history.samples));
    writing.can(status.control?.commands?.includes("sample"), status.control?.reason ?? "nobody trains this run");
    Object.assign(root.dataset, { run, rows: history.get("train/loss").n,
      last: history.latest("train/loss")?.step ?? "", state: "ready", status: status.state });
    const key = `${status.state} ${status.checkpoint?.step}`;
    // The header, the list of runs and the snapshots in the sidebar follow.
    if (told && told !== key) askAgain();
    told = key;
  }

  function withForecast(series) {
    const forecast = history.get("forecast/final_val_loss");
    return forecast.n
      ? [...series, { name: "forecast of the end", data: forecast, colour: "--lab-muted", style: "line" }]
      : series;
  }

  function head() {
    const lost = history.lostAt,
      { word, tone } = stateOf(status, { stopping: controls.asked("stop"), lost: lost !== null }),
      { share, text } = progressOf(status),
      [took, takes] = timesOf(status);
    pill.textContent = word;
    top.dataset.tone = pill.dataset.tone = tone;
    pill.dataset.active = Boolean(status.active);
    name.textContent = run;
    bar.firstChild.style.width = `${100 * (share ?? 0)}%`;
    bar.classList.toggle("lab-unknown", share === null && Boolean(status.active));
    if (share === null) bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", Math.round(100 * share));
    [progress.textContent, elapsed.textContent, left.textContent] = [text, took, takes];
    const said = troubleOf(status, lost);
    controls.show(status, said !== null);
    explain(said);
  }

  function explain(found) {
    trouble.hidden = !found;
    if (!found) return replace(trouble);
    const { tone, title, text, resume, log = [] } = found, key = JSON.stringify([tone, resume, log]);
    if (trouble.dataset.key !== key) {
      Object.assign(trouble.dataset, { key, tone });
      const again = resume
        ? [h("code", { class: "lab-command" }, resume), h("button", { class: "lab-button", onclick: (e) =>
          copy(e.target, resume) }, "Copy"),
          h("button", { class: "lab-button lab-primary", id: "lab-resume-run", onclick: () => controls.ask("resume") },
            "Resume this run")]
        : [];
      replace(trouble, h("b"), " ", h("span"), h("div", { class: "lab-trouble-row", hidden: !resume }, ...again),
        log.length
          ? h("details", { class: "lab-log" }, h("summary", {}, "what its process wrote last"),
            h("pre", {}, log.join("\n")))
          : null);
    }
    trouble.children[0].textContent = title;
    trouble.children[1].textContent = text;
    const button = trouble.querySelector("#lab-resume-run");
    if (button) button.disabled = controls.asked("resume");
  }

  function offline(reason) {
    if (!run) return;
    cut.hidden = link === "open" || !state.info;
    if (cut.hidden) return;
    const since = linkLost && Date.now() - linkLost > 1500 ? ` since ${clock(linkLost / 1000)}` : "";
    cut.textContent = link === "refused"
      ? `The server does not show this run: ${reason ?? "no reason given"}`
      : `No connection to the page’s server${since}; trying again. The training does not depend on it.`;
    cut.dataset.link = link;
  }

  function tick() {
    if (!root.offsetParent) return;
    root.dataset.silence = heard ? Math.round((Date.now() - heard) / 1000) : "";
    if (link === "lost") offline(null);
    if (run && status && ["stale", "failed", "stopped"].includes(status.state)) head();
  }

  async function lookAround() {
    try {
      const all = await get("api/runs"), runs = all.filter((r) =>
        ["starting", "running", "paused"].includes(r.state) && r.name !== run
      );
      const names = (list) => list.map((r) => r.name).sort().join("/");
      if (state.info && names(all) !== names(state.info.runs)) askAgain();
      replace(others, ...runs.slice(0, 6).map((r) =>
        h("button", { class: "lab-button lab-other", title: "show this run", data: { run: r.name }, onclick: () =>
          select({ run: r.name }) }, h("i", { data: { state: r.state } }), `${r.name} `,
          h("small", {},
            r.total_steps && r.step !== null ? `${Math.floor((100 * r.step) / r.total_steps)} %` : r.state))
      ));
    } catch {
      // The line to the run says already that the server is away.
    }
  }

  // ---------------------------------------------------------------- what a person does

  function check(text, key) {
    return h("label", { class: "lab-choice" },
      h("input", { type: "checkbox", checked: view[key], onchange: (e) => see({ [key]: e.target.checked }) }),
      h("span", {}, text));
  }

  function see(patch) {
    Object.assign(view, patch);
    window.localStorage.setItem(KEPT, JSON.stringify(view));
    lossChart.set(patch);
    const { logY: _, ...rest } = patch;
    charts.forEach((chart) => chart.set(rest));
    refresh();
  }

  function mark(marker) {
    if (marker.kind === "sample") writing.jump(marker.step);
    else if (marker.kind === "finding") look(marker.event);
    else if (marker.kind === "checkpoint") select({ step: marker.step });
  }

  // A finding: the stretch it is about, with as much before it.
  function look(event) {
    const last = history.latest("train/loss")?.step ?? event.step,
      [from, to] = [event.since ?? event.step, event.step].map((step) => Math.min(step, last));
    const wide = Math.max(10, 2 * (to - from)),
      ends = [Math.max(0, from - wide), Math.min(last, to + wide)].map((step) => history.place(step)?.[view.x]);
    if (ends[1] > ends[0]) lossChart.zoom(ends);
    lossPlace.scrollIntoView({ block: "nearest" });
  }

  // A run was started from the form: it is followed at once, and chosen as soon as its directory is there.
  function began(started) {
    [begun, before] = [started, state.selection.run];
    follow();
  }

  function arrive() {
    if (begun === null || run !== begun || status.recorded_state === null) return;
    begun = null;
    select({ run, step: null });
  }

  async function copy(button, text) {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy it by hand";
    }
    window.setTimeout(() => {
      button.textContent = "Copy";
    }, 1500);
  }
}

// The slider is finest where it matters: 0.5 is a weight of 0.9, 0.75 one of 0.97.
const toSlider = (weight) => (weight === 0 ? 0 : Math.min(1, -Math.log10(1 - weight) / 2));
const fromSlider = (at) => (at === 0 ? 0 : Math.min(0.99, 1 - 10 ** (-2 * at)));

function remembered() {
  try {
    return JSON.parse(window.localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}
