// Under the player, on one axis with one cursor: the run's losses, what the heads do, and the loss of every token of
// the text over training. A click on any of them goes to that step.

import { chartGroup, lineChart } from "./lib/chart.js";
import { choice, h, replace } from "./lib/dom.js";
import { player, timeline } from "./lib/frame_player.js";
import { actionsOf, panel } from "./lib/panel.js";
import { Series, seriesOf } from "./lib/series.js";
import { currentHead, state } from "./lib/store.js";
import { validationOf } from "./lib/validation.js";
import { closest, TokenLosses } from "./time/token_losses.js";

/** @param {Element} element */
export const mount = (element) => new TimeCurves(element);

class TimeCurves {
  /** @type {Lab.TimelineView} */
  #timeline = { curves: {}, landmarks: [] };
  #metric = "induction"; // of the heads
  #logX = true;
  #offered = ""; // the metrics that can be chosen
  #group = chartGroup();
  /** @type {Lab.Chart | null} */
  #losses = null;
  /** @type {Lab.Chart | null} */
  #heads = null;
  #places = { losses: h("div"), heads: h("div") };
  #tokens = new TokenLosses(() => this.#losses?.axes() ?? null);

  /** @param {Element} element */
  constructor(element) {
    this.panel = panel(element, {
      request: player.request,
      ask: (kind, wanted) => Promise.all([timeline(wanted.run), player.ask(kind, wanted)]),
      show: ([answer]) => {
        this.#timeline = answer;
        this.#build();
      },
      numbers: () => this.#numbers(),
      update: (changed) => {
        if (["layer", "head", "hover", "lock"].some((name) => changed.has(name))) this.#drawHeads();
        if (changed.has("token")) this.#drawLosses();
        if (["token", "hover"].some((name) => changed.has(name))) this.#drawTokens();
      },
      draw: () => this.#drawTokens(),
    });
    this.actions = actionsOf(element);
    const { root } = this.#tokens;
    replace(this.panel.body, this.#places.losses, this.#places.heads, root);
    this.#group.charts.add({ root, crosshair: () => this.#mark(),
      redraw: () => window.requestAnimationFrame(() => this.#drawTokens()) });
    player.on((what) => {
      if (what === "start") this.panel.refresh();
      if (!this.panel.root.offsetParent || this.panel.root.dataset.state !== "ready" || !player.shown) return;
      if (what === "frames") this.#build();
      else if (what === "move") this.#mark();
    });
  }

  #build() {
    if (!player.start || !player.frames.length) return;
    this.#offer(player.start.score_names);
    this.#drawLosses();
    this.#drawHeads();
    this.#losses?.draw(); // the rows of the tokens stand on its axis
    this.#drawTokens();
    this.panel.root.dataset.frames = String(player.frames.length);
  }

  /** @param {string[]} names */
  #offer(names) {
    if (!names.includes(this.#metric)) this.#metric = names[0];
    if (this.#offered === (this.#offered = names.join())) return;
    const axis = choice("Axis", [["log", "steps, logarithmic"], ["linear", "steps"]], this.#logX ? "log" : "linear",
      (value) => {
        this.#logX = value === "log";
        this.#group.zoom = null;
        this.#build();
      });
    const metric = choice("Heads", names.map((name) => [name, name]), this.#metric, (value) => {
      this.#metric = value;
      this.#drawHeads();
    });
    replace(this.actions, axis, metric);
  }

  // ---------------------------------------------------------------- the charts

  /** What both charts share. @returns {Partial<Lab.ChartOptions>} */
  #shared() {
    const ends = Object.values(this.#timeline.curves).map(({ step }) => step.data[step.data.length - 1] ?? 0);
    return { group: this.#group, logX: this.#logX, range: [0, Math.max(...steps(), ...ends)],
      cursor: player.shown?.step ?? null, pick: this.#jump };
  }

  #drawLosses() {
    const { token } = state.selection, { curves } = this.#timeline;
    /** @type {Lab.Curve[]} */
    const series = [
      { name: "train", data: seriesOf(curves["train/loss"]), colour: "--lab-train", style: "smooth" },
      ...validationOf((name) => seriesOf(curves[name])),
    ];
    if (token && token < (player.start?.tokens.length ?? 0)) {
      const own = player.frames.map((frame) => frame.token_loss.data[token - 1]);
      series.push({ name: `token ${token} “${player.start?.tokens[token]}”`, data: Series.from(steps(), own),
        colour: "--lab-sample" });
    }
    const options = { label: "Loss", unit: "nats per token", series, height: 170, smoothing: 0.8, ...this.#shared() };
    if (this.#losses) this.#losses.set(options);
    else this.#losses = lineChart(this.#places.losses, options);
  }

  #drawHeads() {
    const { start, frames } = player, { layer, head } = currentHead();
    if (!start) return;
    const i = start.score_names.indexOf(this.#metric), at = layer * (state.info?.model?.n_heads ?? 0) + head;
    const values = frames.map(({ view }) => view.scores[i].values.data), chance = start.score_chance[i];
    /** @type {Lab.Curve[]} */
    const series = [
      { name: "largest of all", data: Series.from(steps(), values.map((all) => Math.max(...all))),
        colour: "--lab-muted" },
      { name: `head ${layer}.${head}`, data: Series.from(steps(), values.map((all) => all[at])), colour: "--lab-accent",
        style: "dots" },
    ];
    const options = { label: this.#metric, unit: start.score_explanations[i], series, height: 150,
      lines: chance === null ? [] : [{ value: chance, label: "attending evenly" }], ...this.#shared() };
    if (this.#heads) this.#heads.set(options);
    else this.#heads = lineChart(this.#places.heads, options);
    this.panel.root.dataset.head = `${layer}.${head}`;
  }

  /** @param {number} x */
  #jump = (x) => {
    const axes = this.#losses?.axes();
    if (axes) player.go(closest(x, axes));
  };

  #drawTokens() {
    this.#tokens.draw();
    this.#mark();
  }

  /** The cursor of all three; nothing else is drawn again while the player moves. */
  #mark() {
    const frame = player.shown;
    if (!frame || !this.#losses?.axes()) return;
    for (const chart of [this.#losses, this.#heads]) {
      if (!chart || chart.options.cursor === frame.step) continue;
      chart.options.cursor = frame.step;
      chart.crosshair();
    }
    this.#tokens.mark();
    this.panel.root.dataset.step = String(frame.step);
  }

  #numbers() {
    const { start, frames, learned } = player;
    return { ...this.#timeline, tokens: start?.tokens, steps: steps(), scores: frames.map((frame) => frame.scores),
      score_names: start?.score_names, token_loss: frames.map((frame) => frame.token_loss), learned };
  }
}

const steps = () => player.frames.map((frame) => frame.step);
