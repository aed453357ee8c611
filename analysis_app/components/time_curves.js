// Under the film, on one axis with one cursor: the run's losses, what the heads do, and the loss of every token of the
// text over training. A click on any of them goes to that step.

import { paint, prepare } from "./lib/canvas.js";
import { chartGroup, lineChart } from "./lib/chart.js";
import { colour, css } from "./lib/colour.js";
import { choice, clip, count, fixed, h, hideTip, replace, showTip } from "./lib/dom.js";
import { ask, film, go, nearest, onFilm, play, request, shown, timeline } from "./lib/film.js";
import { actionsOf, panel } from "./lib/panel.js";
import { Series } from "./lib/series.js";
import { currentHead, preview, select, state } from "./lib/store.js";

const [ROW, LEGIBLE, LETTERS] = [11, 9, 6];

export function mount(element) {
  let curves = null, metric = "induction", logX = true, shortest = ROW, tabled = false, offered = "", cursor = null;
  const group = chartGroup(), places = { loss: h("div"), heads: h("div") }, made = {};
  const canvas = h("canvas", { class: "lab-map lab-token-map", tabindex: 0, role: "application",
    "aria-roledescription": "losses of tokens over training" });
  const line = h("div", { class: "lab-token-now", "aria-hidden": "true" }),
    words = h("p", { class: "lab-reading", "aria-live": "polite" }),
    key = h("div", { class: "lab-key" });
  const table = h("div", { class: "lab-scroll lab-tall", hidden: true, tabindex: 0 }),
    area = h("div", { class: "lab-token-area" }, canvas, line);
  const toggle = h("button", { class: "lab-link lab-chart-toggle", "aria-pressed": "false",
    title: "the same numbers as a table", onclick: flip }, "table");
  const title = h("figcaption", {}, h("b", { class: "lab-chart-name" }, "When did it learn each token?"),
    h("span", { class: "lab-chart-legend" }, "a row a token, the colour its loss"), toggle);

  const found = panel(element, {
    request,
    ask: (kind, wanted) => Promise.all([timeline(wanted.run), ask(kind, wanted)]),
    show([answer]) {
      curves = answer;
      build();
    },
    numbers: () => ({ ...curves, tokens: film.start.tokens, steps: steps(),
      scores: film.frames.map((frame) => frame.scores), score_names: film.start.score_names,
      token_loss: film.frames.map((frame) => frame.token_loss), learned: film.learned }),
    update(changed) {
      if (["layer", "head", "hover", "lock"].some((name) => changed.has(name))) heads();
      if (changed.has("token")) losses();
      if (["token", "hover"].some((name) => changed.has(name))) map();
    },
    draw: map,
  });
  replace(found.body, places.loss, places.heads, h("figure", { class: "lab-chart" }, title, area, table, key, words));
  group.charts.add({ root: area, redraw: () => window.requestAnimationFrame(map), crosshair: mark });
  onFilm((what) => {
    if (what === "start") found.refresh();
    if (!found.root.offsetParent || found.root.dataset.state !== "ready" || !shown()) return;
    if (what === "frames") build();
    else if (what === "move") mark();
  });
  canvas.addEventListener("mousemove", point);
  canvas.addEventListener("mouseleave", () => {
    cursor = null;
    hideTip();
    preview({ token: null });
  });
  canvas.addEventListener("click", click);
  canvas.addEventListener("keydown", move);

  // ---------------------------------------------------------------- the charts

  function build() {
    if (!film.frames.length) return;
    controls();
    losses();
    heads();
    made.loss.draw(); // the rows below stand on its axis
    map();
    mark();
    found.root.dataset.frames = film.frames.length;
  }

  function controls() {
    const names = film.start.score_names;
    if (!names.includes(metric)) metric = names[0];
    if (offered === (offered = names.join())) return;
    replace(actionsOf(element),
      choice("Axis", [["log", "steps, logarithmic"], ["linear", "steps"]], logX ? "log" : "linear", (value) => {
        logX = value === "log";
        group.zoom = null;
        build();
      }), choice("Heads", names.map((name) => [name, name]), metric, (value) => {
        metric = value;
        heads();
      }));
  }

  const steps = () => film.frames.map((frame) => frame.step);
  const range =
    () => [0,
      Math.max(film.frames[film.frames.length - 1].step,
        ...Object.values(curves.curves).map(({ step }) => step.data[step.data.length - 1] ?? 0))];
  const shared = () => ({ group, logX, range: range(), cursor: shown().step, pick: jump });

  function losses() {
    const series = ["train", "val"].map((name) => ({ name, data: of(curves.curves[`${name}/loss`]),
      colour: `--lab-${name}`, style: name === "val" ? "dots" : "smooth" })
    );
    const { token } = state.selection;
    if (token > 0 && token < film.start.tokens.length) {
      const mine = film.frames.map((frame) => frame.token_loss.data[token - 1]);
      series.push({ name: `token ${token} “${film.start.tokens[token]}”`, data: Series.from(steps(), mine),
        colour: "--lab-sample" });
    }
    chart("loss", { label: "Loss", unit: "nats per token", series, height: 170, smoothing: 0.8 });
  }

  function heads() {
    const { layer, head } = currentHead(), i = film.start.score_names.indexOf(metric),
      { n_heads: n } = state.info.model;
    const values = film.frames.map(({ view }) => view.scores[i].values.data), chance = film.start.score_chance[i];
    const series = [{ name: "largest of all", data: Series.from(steps(), values.map((all) => Math.max(...all))),
      colour: "--lab-muted" }, { name: `head ${layer}.${head}`,
      data: Series.from(steps(), values.map((all) => all[layer * n + head])), colour: "--lab-accent", style: "dots" }];
    chart("heads", { label: metric, unit: film.start.score_explanations[i], series,
      lines: chance === null ? [] : [{ value: chance, label: "attending evenly" }], height: 150 });
    found.root.dataset.head = `${layer}.${head}`;
  }

  function chart(name, options) {
    if (made[name]) made[name].set({ ...options, ...shared() });
    else made[name] = lineChart(places[name], { ...options, ...shared() });
  }

  function jump(x) {
    play(false);
    go(closest(x));
  }

  // The frame whose place on the axis is nearest.
  function closest(x) {
    const { across } = made.loss.axes(), away = (i) => Math.abs(across(film.frames[i].step) - across(x));
    const before = nearest(x);
    return before + 1 < film.frames.length && away(before + 1) < away(before) ? before + 1 : before;
  }

  // ---------------------------------------------------------------- the tokens' losses

  // Rows are tokens from the second on (nothing was read before the first), columns reach half-way to the next frame.
  function edges() {
    const { across, left, right } = made.loss.axes(), at = steps().map(across);
    const middle = at.slice(1).map((x, i) => (x + at[i]) / 2);
    return [at[0] - ((middle[0] ?? right) - at[0]), ...middle,
      at[at.length - 1] + 0.5 * ((at[at.length - 1] - at[at.length - 2]) || 4)].map((x) =>
        Math.round(Math.min(right, Math.max(left, x)))
      );
  }

  function map() {
    const axes = made.loss?.axes();
    if (!axes || tabled || !film.frames.length || !area.clientWidth) return;
    const { tokens, uniform_loss: most } = film.start, n = tokens.length - 1, columns = edges(),
      { token } = state.selection;
    shortest = n > 70 ? Math.max(3, Math.floor(760 / n)) : ROW;
    const context = prepare(canvas, area.clientWidth, n * shortest + 2);
    film.frames.forEach((frame, i) => {
      for (let t = 0; t < n; t++) {
        context.fillStyle = colour("warm", frame.token_loss.data[t] / most);
        context.fillRect(columns[i], t * shortest, columns[i + 1] - columns[i], shortest - (shortest > 5 ? 1 : 0));
      }
    });
    context.font = `${Math.min(11, shortest)}px ${css("--font-mono") || "monospace"}`;
    context.textAlign = "right";
    context.textBaseline = "middle";
    const every = Math.ceil(LEGIBLE / shortest), near = cursor?.token ?? state.hover.token;
    for (let t = 0; t < n; t++) {
      const chosen = t + 1 === token || t + 1 === near;
      if (t % every && !chosen) continue;
      context.fillStyle = css(chosen ? "--lab-ink" : "--lab-muted");
      context.fillText(clip(tokens[t + 1], LETTERS), axes.left - 6, (t + 0.5) * shortest);
    }
    context.strokeStyle = css("--lab-mark");
    if (token > 0 && token <= n)
      context.strokeRect(axes.left + 0.5, (token - 1) * shortest + 0.5, axes.right - axes.left - 1, shortest - 1);
    context.fillStyle = css("--lab-ink");
    film.learned.forEach((step, t) => {
      if (step === null) return;
      context.beginPath();
      context.arc(axes.across(step), (t + 0.5) * shortest, Math.min(2.6, shortest / 3), 0, 2 * Math.PI);
      context.fill();
    });
    canvas.setAttribute("aria-label",
      `Loss of ${n} tokens at ${film.frames.length} snapshots. Up and down choose a token, left and right a snapshot.`);
    legend(most);
    mark();
  }

  function legend(most) {
    const ramp = paint(h("canvas", { class: "lab-ramp", "aria-hidden": "true" }), 1, 64, (_, i) => ["warm", i / 63]);
    replace(key, h("span", {}, "expected (0)"), ramp, h("span", {}, `as bad as guessing (${fixed(most, 2)} nats)`),
      h("span", { class: "lab-note" }, film.ended === "done"
        ? "dot: learned; from there on its loss stays below half-way from its first to its lowest"
        : ""));
  }

  // The cursor of all three; nothing else is drawn again while the film moves.
  function mark() {
    const frame = shown(), axes = made.loss?.axes();
    if (!frame || !axes) return;
    for (const one of [made.loss, made.heads]) {
      if (one.options.cursor === frame.step) continue;
      one.options.cursor = frame.step;
      one.crosshair();
    }
    const x = axes.across(frame.step);
    line.hidden = tabled || x < axes.left - 1 || x > axes.right + 1;
    line.style.transform = `translateX(${x}px)`;
    found.root.dataset.step = frame.step;
    if (tabled) list();
    else if (!cursor) words.textContent = say(state.selection.token, film.at);
  }

  function say(token, at) {
    const { tokens } = film.start, frame = film.frames[at];
    if (!(token > 0 && token < tokens.length))
      return "Point at a row to read it; click to go to that step and lock its token.";
    const learned = film.learned[token - 1],
      when = film.ended !== "done"
        ? ""
        : learned === null
        ? "; not learned: it never fell by half a nat for good"
        : `; learned at step ${count(learned)}`;
    return `${token} “${tokens[token]}” at step ${count(frame.step)}: loss ${
      fixed(frame.token_loss.data[token - 1])
    } nats${when}`;
  }

  function at(event) {
    const box = canvas.getBoundingClientRect(), axes = made.loss.axes(),
      token = 1 + Math.floor((event.clientY - box.top) / shortest);
    if (token < 1 || token >= film.start.tokens.length) return null;
    const x = event.clientX - box.left;
    return { token, frame: x < axes.left ? null : closest(axes.across.invert(Math.min(x, axes.right))) };
  }

  function point(event) {
    if (!film.frames.length) return;
    const place = at(event);
    if (place?.token !== cursor?.token) preview({ token: place?.token ?? null });
    cursor = place;
    if (!place) return hideTip();
    const frame = film.frames[place.frame ?? film.at], loss = frame.token_loss.data[place.token - 1],
      learned = film.learned[place.token - 1];
    words.textContent = say(place.token, place.frame ?? film.at);
    showTip(event, `${place.token} “${film.start.tokens[place.token]}”`, [["step", count(frame.step)], ["loss",
      `${fixed(loss)} nats`], ["probability", fixed(Math.exp(-loss))],
      ...(film.ended === "done" ? [["learned at step", learned === null ? "not" : count(learned)]] : [])]);
  }

  function click(event) {
    const place = at(event);
    if (!place) return;
    select({ token: place.token });
    if (place.frame !== null) {
      play(false);
      go(place.frame);
    }
  }

  function move(event) {
    const by =
      { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -Infinity],
        End: [0, Infinity] }[event.key];
    if (!by) return;
    event.preventDefault();
    cursor = null;
    play(false);
    if (by[0])
      select({ token: Math.min(film.start.tokens.length - 1, Math.max(1, (state.selection.token ?? 0) + by[0])) });
    else go(film.at + by[1]);
  }

  function flip() {
    tabled = !tabled;
    toggle.setAttribute("aria-pressed", String(tabled));
    toggle.textContent = tabled ? "picture" : "table";
    [area.hidden, table.hidden] = [tabled, !tabled];
    if (tabled) list();
    else map();
  }

  function list() {
    const frame = shown(), { tokens } = film.start, first = film.frames[0], last = film.frames[film.frames.length - 1];
    const head = ["token", "", `loss at step ${count(first.step)}`, `at step ${count(frame.step)}`,
      `at step ${count(last.step)}`, "learned at step"].map((text) => h("th", { scope: "col" }, text));
    const rows = tokens.slice(1).map((token, t) =>
      h("tr", {}, h("td", { class: "lab-number" }, String(t + 1)), h("td", {}, token),
        ...[first, frame, last].map((one) => h("td", { class: "lab-number" }, fixed(one.token_loss.data[t]))),
        h("td", { class: "lab-number" },
          film.learned[t] === null || film.learned[t] === undefined ? "n/a" : count(film.learned[t])))
    );
    replace(table, h("table", { class: "lab-table" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)));
  }
}

// The columns of a curve as they came from the server.
function of({ step, tokens, minutes, value }) {
  return Series.from(step.data, value.data, { tokens: tokens.data, time: minutes.data.map((m) => 60 * m) });
}
