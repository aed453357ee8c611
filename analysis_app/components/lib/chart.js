// A line chart on a canvas, for curves that grow while one looks.
//
//   const chart = lineChart(place, { label: "Loss", unit: "nats per token", series: [
//     { name: "train", data: new Series(), colour: "--lab-train", style: "smooth" },
//     { name: "val", data: new Series(), colour: "--lab-val", style: "dots" } ] });
//   data.push(step, tokens, time, value); chart.redraw();     // appended: nothing is fetched or built again
//   chart.set({ logY: true });
//
// Options, all of which `set` changes:
//   series     [{ name, data, colour, style, unit, format }]; style "smooth" (raw faint, moving average strong), "line"
//              or "dots"
//   lines      [{ value, label, colour }]: dashed reference lines
//   markers    [{ step, tokens, time, kind, title, rows }]; kind: checkpoint, sample, pause, finding, cross; any other
//              is a dot
//   x          "step", "tokens" or "time" (training seconds), for a reader called `xName`; logX, logY; smoothing
//              0 … 0.999; height in pixels
//   cursor     a place on x that stays marked, whose values stand in the legend; pick(x): a click; onMarker(marker): a
//              click on one
//   range      [low, high] of x, where charts stand above each other; else that of the data
//   group      charts that share crosshair and zoom along x: `chartGroup()`
// Drag to zoom (downwards too: a box), double-click to see everything again; the zoom outlives new points. By
// keyboard: arrows move the crosshair, Enter picks, + zooms, 0 shows everything again.

import { css, onTheme } from "./colour.js";
import { h, hideTip, replace, showTip } from "./dom.js";
import { menuOf, numbersOf } from "./export.js";
import { brief, duration, scale, ticks } from "./scale.js";
import { thin } from "./series.js";

const SIDES = { left: 48, right: 14, top: 10, bottom: 22 };
const X_NAMES = { step: "step", tokens: "tokens", time: "training time" };
const NEAR = 7; // pixels within which the mouse means a marker, or has not dragged
const TABLE_ROWS = 60;
const DEFAULTS = { label: "", unit: "", series: [], lines: [], markers: [], x: "step", xName: null, logX: false,
  logY: false, smoothing: 0.9, height: 220, group: null, cursor: null, range: null, pick: null, onMarker: null,
  empty: "nothing measured yet" };

export const chartGroup = () => ({ charts: new Set(), at: null, zoom: null });

export function lineChart(place, given) {
  const options = { ...DEFAULTS, ...given };
  let group = options.group ?? chartGroup(), zoomY = null, drag = null, frame = null, tabled = false, axes = null;
  const base = h("canvas", { class: "lab-chart-base", role: "img", tabindex: 0 }),
    over = h("canvas", { class: "lab-chart-over", "aria-hidden": "true" });
  const legend = h("div", { class: "lab-chart-legend" }), area = h("div", { class: "lab-chart-area" }, base, over),
    table = h("div", { class: "lab-scroll lab-chart-table", hidden: true, tabindex: 0 });
  const toggle = h("button", { class: "lab-link lab-chart-toggle", "aria-pressed": "false",
    title: "the same numbers as a table", onclick: flip }, "table");
  const root = h("figure", { class: "lab-chart" },
    h("figcaption", {}, h("b", { class: "lab-chart-name" }), legend, toggle), area, table);
  const chart = { root, options, set, redraw, draw, zoom, reset, crosshair: overlay, axes: () => axes, get zoomY() {
    return zoomY;
  } };
  group.charts.add(chart);
  root.firstChild.append(menuOf(root, () => options.label));
  numbersOf(root,
    () => ({ chart: options.label, unit: options.unit,
      series: options.series.map(({ name, unit, data }) => ({ name, unit, step: data.x("step"),
        tokens: data.x("tokens"), time: data.x("time"), values: data.y })
      ) }));
  replace(place, root);
  for (const [name, act] of Object.entries({ pointerdown: press, pointermove: move, pointerup: release,
    pointerleave: leave, dblclick: reset, keydown: key })) base.addEventListener(name, act);
  onTheme(() => root.isConnected && redraw());
  new ResizeObserver(() => redraw()).observe(area);
  redraw();
  return chart;

  function set(patch) {
    if ("x" in patch && patch.x !== options.x) [group.zoom, group.at] = [null, null];
    if ("logY" in patch && patch.logY !== options.logY) zoomY = null;
    if (patch.group && patch.group !== group) {
      group.charts.delete(chart);
      group = patch.group;
      group.charts.add(chart);
    }
    Object.assign(options, patch);
    redraw();
  }

  function redraw() {
    frame ??= window.requestAnimationFrame(() => {
      frame = null;
      draw();
    });
  }

  function flip() {
    tabled = !tabled;
    toggle.setAttribute("aria-pressed", String(tabled));
    toggle.textContent = tabled ? "chart" : "table";
    [area.hidden, table.hidden] = [tabled, !tabled];
    draw();
  }

  // ---------------------------------------------------------------- drawing

  function draw() {
    const width = root.clientWidth;
    if (!root.isConnected || width < 40) return;
    const start = performance.now(), frame_ = measure(width), context = size(base, width, options.height);
    axes = frame_;
    root.querySelector(".lab-chart-name").textContent = options.label;
    if (frame_) {
      grid(context, frame_);
      context.save();
      context.beginPath();
      context.rect(frame_.left, frame_.top - 2, frame_.right - frame_.left, frame_.bottom - frame_.top + 4);
      context.clip();
      options.lines.forEach((line) => reference(context, frame_, line));
      options.series.forEach((item) => curve(context, frame_, item));
      labels(context, frame_);
      options.markers.forEach((marker) => mark(context, frame_, marker));
      context.restore();
    } else {
      context.fillStyle = css("--lab-muted");
      context.font = font();
      context.textAlign = "center";
      context.fillText(options.empty, width / 2, options.height / 2);
    }
    root.dataset.points = options.series.reduce((sum, { data }) => sum + data.n, 0);
    root.dataset.drawMs = (performance.now() - start).toFixed(1);
    describe();
    overlay();
    if (tabled) list();
  }

  // Where everything is; null while there is nothing to see.
  function measure(width) {
    const { series, x, logX, logY } = options, seen = series.filter(({ data }) => data.n);
    if (!seen.length) return null;
    const xs = seen.map(({ data }) => data.x(x)), shift = logX ? Math.min(...xs.map(firstPositive)) : 0;
    let [low, high] = group.zoom ?? options.range
      ?? [Math.min(...xs.map((v) => v[0])), Math.max(...xs.map((v) => v[v.length - 1]))];
    if (!(high > low)) [low, high] = logX || low > 0 ? [low * 0.9, low * 1.1 || 1] : [low - 1, low + 1];
    const ends = { left: SIDES.left, right: width - SIDES.right, top: SIDES.top,
      bottom: options.height - SIDES.bottom };
    const across = scale(low, high, ends.left, ends.right, { log: logX, shift });
    let [least, most] = zoomY ?? extremes(seen, x, low, high, logY, group.zoom ? [] : options.lines);
    if (!zoomY) [least, most] = roomy(least, most, logY);
    return { ...ends, across, up: scale(least, most, ends.bottom, ends.top, { log: logY }), x };
  }

  function grid(context, { across, up, left, right, top, bottom, x }) {
    context.font = font();
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    const levels = ticks(up, options.height < 160 ? 4 : 5),
      fine = levels.length > 1 ? Math.abs(levels[1] - levels[0]) : 1;
    for (const value of levels) {
      const at = Math.round(up(value)) + 0.5;
      if (at < top - 1 || at > bottom + 1) continue;
      context.strokeStyle = css("--lab-grid");
      stroke(context, [[left, at], [right, at]]);
      context.fillStyle = css("--lab-muted");
      context.fillText(brief(value, Math.max(3, Math.ceil(Math.log10(Math.abs(value) / fine)) + 1 || 3)), left - 7, at);
    }
    context.textBaseline = "top";
    let free = -Infinity;
    for (const value of ticks(across, Math.max(2, Math.floor((right - left) / 90)), x === "time")) {
      const at = across(value), text = axisText(value, x), half = context.measureText(text).width / 2;
      if (at - half < free || at > right + 1) continue;
      context.textAlign = at + half > right + SIDES.right ? "right" : "center";
      context.fillText(text, context.textAlign === "right" ? right + SIDES.right : at, bottom + 7);
      free = at + half + 10;
    }
    context.strokeStyle = css("--lab-line");
    stroke(context, [[left, bottom + 0.5], [right, bottom + 0.5]]);
  }

  function reference(context, { up, left, right, top, bottom }, { value, colour = "--lab-muted" }) {
    const at = Math.round(up(value)) + 0.5;
    if (!(at >= top - 1 && at <= bottom + 1)) return;
    context.strokeStyle = css(colour);
    context.setLineDash([5, 4]);
    context.globalAlpha = 0.75;
    stroke(context, [[left, at], [right, at]]);
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  // Each on its own ground, so that the curve behind does not make it unreadable, and beside its neighbour where two
  // lines lie close together.
  function labels(context, { up, right, top, bottom }) {
    context.font = font();
    [context.textAlign, context.textBaseline] = ["right", "middle"];
    let before = { y: -Infinity, left: right };
    for (const { at, label, colour } of options.lines.map((line) => ({ ...line, at: up(line.value) })).sort((a, b) =>
      a.at - b.at
    )) {
      if (!(at >= top - 1 && at <= bottom + 1)) continue;
      const wide = context.measureText(label).width, y = at - 14 < top ? at + 9 : at - 8,
        end = Math.abs(y - before.y) < 14 ? before.left - 8 : right - 3;
      context.globalAlpha = 0.85;
      context.fillStyle = css("--lab-card");
      context.fillRect(end - wide - 3, y - 7, wide + 6, 14);
      context.globalAlpha = 1;
      context.fillStyle = css(colour ?? "--lab-muted");
      context.fillText(label, end, y);
      before = { y, left: end - wide };
    }
  }

  function curve(context, { across, up, x }, { data, colour = "--lab-accent", style = "line" }) {
    const [from, to] = data.between(x, across.low, across.high), xs = data.x(x);
    context.strokeStyle = context.fillStyle = css(colour);
    context.lineJoin = "round";
    const smooth = style === "smooth" && options.smoothing > 0;
    path(context, thin(xs, data.y, data.low, data.high, from, to, across), up,
      smooth ? 1 : style === "dots" ? 1.25 : 1.6, smooth ? 0.3 : style === "dots" ? 0.55 : 1);
    if (smooth) {
      const strong = data.smoothed(options.smoothing);
      path(context, thin(xs, strong, strong, strong, from, to, across), up, 2, 1);
    }
    if (style === "dots" && to - from < 400) {
      for (let i = from; i < to; i++) if (!Number.isNaN(data.y[i])) dot(context, across(xs[i]), up(data.y[i]), 2.8);
    }
    // Where the numbers end before the steps do, a cross says so.
    const end = data.n - 1;
    if (end > 0 && Number.isNaN(data.y[end])) {
      let last = end;
      while (last > 0 && Number.isNaN(data.y[last])) last--;
      shape(context, "cross", across(xs[last]), Number.isNaN(data.y[last]) ? 20 : up(data.y[last]), css("--lab-bad"),
        6);
    }
  }

  function mark(context, { across, bottom }, marker) {
    const at = across(marker[options.x]);
    if (Number.isFinite(at))
      shape(context, marker.kind, at, bottom - 7, css(`--lab-${marker.kind}`) || css("--lab-muted"), 4.5);
  }

  // ---------------------------------------------------------------- crosshair, legend, table

  function overlay() {
    const context = size(over, root.clientWidth, options.height);
    const { at } = group;
    if (axes && options.cursor !== null) upright(context, options.cursor, css("--lab-mark"), 1.5);
    if (axes && at !== null) {
      upright(context, at, css("--lab-muted"), 1, axisText(at, options.x));
      for (const item of options.series) {
        const i = item.data.nearest(options.x, at);
        if (i < 0 || Number.isNaN(item.data.y[i])) continue;
        const y = value(item, i), px = axes.across(item.data.x(options.x)[i]), py = axes.up(y);
        if (py < axes.top - 3 || py > axes.bottom + 3 || px < axes.left - 1 || px > axes.right + 1) continue;
        context.fillStyle = css(item.colour ?? "--lab-accent");
        context.strokeStyle = css("--lab-card");
        context.lineWidth = 1.5;
        dot(context, px, py, 4);
        context.stroke();
      }
    }
    if (drag?.moved) box(context);
    tell();
  }

  function upright(context, x, colour, width, text = null) {
    const at = axes.across(x);
    if (!(at >= axes.left - 1 && at <= axes.right + 1)) return;
    context.strokeStyle = colour;
    context.lineWidth = width;
    stroke(context, [[Math.round(at) + 0.5, axes.top], [Math.round(at) + 0.5, axes.bottom]]);
    if (text === null) return;
    context.font = font();
    const wide = context.measureText(text).width + 12,
      left = Math.min(Math.max(at - wide / 2, 0), root.clientWidth - wide);
    context.fillStyle = css("--lab-ink");
    context.beginPath();
    context.roundRect(left, axes.bottom + 3, wide, 17, 5);
    context.fill();
    context.fillStyle = css("--lab-card");
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, left + wide / 2, axes.bottom + 12);
  }

  function box(context) {
    const [x0, x1] = [drag.x, drag.toX].sort((a, b) => a - b), tall = drag.boxed,
      [y0, y1] = tall ? [drag.y, drag.toY].sort((a, b) => a - b) : [axes.top, axes.bottom];
    context.fillStyle = context.strokeStyle = css("--lab-accent");
    context.globalAlpha = 0.14;
    context.fillRect(x0, y0, x1 - x0, y1 - y0);
    context.globalAlpha = 0.8;
    context.strokeRect(x0 + 0.5, y0 + 0.5, x1 - x0, y1 - y0);
    context.globalAlpha = 1;
  }

  // Values under the crosshair, else at the cursor, else the newest, beside the names.
  function tell() {
    const at = group.at ?? options.cursor;
    const parts = options.series.filter(({ data }) => data.n).map((item) => {
      const i = at === null ? lastIndex(item.data) : item.data.nearest(options.x, at);
      const text = i < 0 ? "n/a" : (item.format ?? brief)(value(item, i));
      const swatch = h("i", { style: { background: `var(${item.colour ?? "--lab-accent"})` } });
      return h("span", { class: "lab-chart-key" }, options.series.length > 1 ? swatch : null,
        item.name ? `${item.name} ` : "", h("b", {}, text));
    });
    replace(legend, ...parts, options.unit ? h("small", {}, options.unit) : null,
      group.zoom || zoomY ? h("button", { class: "lab-link lab-chart-reset", onclick: reset }, "show all") : null);
  }

  function describe() {
    const now = options.series.filter(({ data }) => data.n).map(({ name, data }) => {
      const last = data.last();
      return last
        ? `${name || options.label} ${brief(last.value)} at step ${brief(last.step, 6)}`
        : `${name || options.label}: no number`;
    });
    base.setAttribute("aria-label",
      `${options.label} by ${(options.xName ?? X_NAMES[options.x])}${options.unit ? `, in ${options.unit}` : ""}: ${
        now.join("; ") || options.empty
      }. Arrow keys move along it.`);
  }

  // At most some sixty rows of what is in view, the newest first.
  function list() {
    const longest = options.series.reduce((a, b) => (b.data.n > (a?.data.n ?? 0) ? b : a), null);
    if (!longest || !axes) return replace(table, h("p", { class: "lab-note" }, options.empty));
    const { data } = longest, [from, to] = data.between(options.x, axes.across.low, axes.across.high),
      skip = Math.max(1, Math.ceil((to - from) / TABLE_ROWS));
    const rows = [];
    for (let i = to - 1; i >= from; i -= skip) {
      const cells = options.series.map((item) => {
        const j = item === longest ? i : item.data.nearest("step", data.x("step")[i]);
        return h("td", { class: "lab-number" },
          j < 0 || item.data.x("step")[j] > data.x("step")[i] ? "" : (item.format ?? brief)(item.data.y[j]));
      });
      rows.push(h("tr", {}, h("td", { class: "lab-number" }, axisText(data.x(options.x)[i], options.x)), ...cells));
    }
    const head = [options.xName ?? X_NAMES[options.x], ...options.series.map(({ name }) => name || options.label)].map((
      text,
    ) => h("th", { scope: "col", class: "lab-number" }, text));
    replace(table, h("table", { class: "lab-table" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)),
      skip > 1 ? h("p", { class: "lab-note" }, `every ${brief(skip)}th of ${brief(to - from, 6)} points`) : null);
  }

  function value({ data, style }, i) {
    return style === "smooth" && options.smoothing > 0 ? data.smoothed(options.smoothing)[i] : data.y[i];
  }

  // ---------------------------------------------------------------- mouse and keyboard

  function shared(act) {
    group.charts.forEach((other) => (other.root.isConnected ? act(other) : group.charts.delete(other)));
  }

  function point(x) {
    group.at = x;
    shared((other) => other.crosshair());
  }

  function zoom(x, y = null) {
    [group.zoom, zoomY] = [x, y];
    shared((other) => other.redraw());
  }

  function reset() {
    zoom(null);
  }

  function spot(event) {
    const frame_ = base.getBoundingClientRect();
    return [event.clientX - frame_.left, event.clientY - frame_.top];
  }

  function press(event) {
    if (!axes || event.button !== 0) return;
    const [x, y] = spot(event);
    drag = { x, y, toX: x, toY: y, moved: false, boxed: false };
    base.setPointerCapture(event.pointerId);
  }

  function move(event) {
    if (!axes) return;
    const [x, y] = spot(event), inside = Math.min(Math.max(x, axes.left), axes.right);
    if (drag) {
      drag.toX = inside;
      drag.toY = Math.min(Math.max(y, axes.top), axes.bottom);
      drag.moved ||= Math.abs(x - drag.x) > NEAR;
      drag.boxed = Math.abs(drag.toY - drag.y) > 3 * NEAR;
    }
    const marker = drag?.moved ? null : under(x, y);
    base.style.cursor = marker && options.onMarker ? "pointer" : "crosshair";
    if (marker) showTip(event, marker.title, marker.rows ?? []);
    else hideTip();
    point(axes.across.invert(inside));
  }

  function release(event) {
    const done = drag;
    drag = null;
    if (!done || !axes) return;
    if (done.moved) {
      const [x0, x1] = [done.x, done.toX].sort((a, b) => a - b).map(axes.across.invert);
      const [y1, y0] = [done.y, done.toY].sort((a, b) => a - b).map(axes.up.invert);
      return zoom([Math.max(x0, axes.across.low), Math.min(x1, axes.across.high)], done.boxed ? [y0, y1] : null);
    }
    const marker = under(...spot(event));
    if (marker && options.onMarker) options.onMarker(marker);
    else if (options.pick) options.pick(axes.across.invert(done.x));
  }

  function leave() {
    hideTip();
    if (!drag) point(null);
  }

  function under(x, y) {
    if (y < axes.bottom - 16 || y > axes.bottom + 3) return null;
    const away = (marker) => Math.abs(axes.across(marker[options.x]) - x);
    const found = options.markers.reduce((best, marker) => (away(marker) < (best ? away(best) : NEAR) ? marker : best),
      null);
    if (!found) return null;
    const crowd = options.markers.filter((marker) => Math.abs(away(marker) - away(found)) < 1).length - 1;
    return crowd > 0 ? { ...found, rows: [...(found.rows ?? []), ["and beside it", `${crowd} more`]] } : found;
  }

  function key(event) {
    if (!axes) return;
    const { across } = axes, middle = group.at ?? across.high, step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      const longest = options.series.reduce((a, b) => (b.data.n > a.data.n ? b : a)).data,
        many = event.shiftKey ? 10 : 1;
      const xs = longest.x(options.x), i = longest.nearest(options.x, middle) + (group.at === null ? 0 : step * many);
      point(xs[Math.min(xs.length - 1, Math.max(0, i))]);
    } else if (event.key === "Enter" && options.pick && group.at !== null) options.pick(group.at);
    else if (event.key === "0") reset();
    else if (event.key === "+") {
      const pixel = across(middle), wide = (axes.right - axes.left) / 4;
      zoom([Math.max(axes.left, pixel - wide), Math.min(axes.right, pixel + wide)].map(across.invert));
    } else return;
    event.preventDefault();
  }
}

// ---------------------------------------------------------------- pieces

function size(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1, [w, t] = [Math.round(width * ratio), Math.round(height * ratio)];
  const context = canvas.getContext("2d");
  // A canvas is thrown away and made anew only when it has another size.
  if (canvas.width !== w || canvas.height !== t) {
    Object.assign(canvas, { width: w, height: t });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

function path(context, columns, up, width, alpha) {
  context.lineWidth = width;
  context.globalAlpha = alpha;
  context.beginPath();
  let broken = true;
  for (let i = 0; i < columns.length; i += 5) {
    const x = columns[i];
    if (Number.isNaN(x)) {
      broken = true;
      continue;
    }
    const [first, low, high, last] = [up(columns[i + 1]), up(columns[i + 2]), up(columns[i + 3]), up(columns[i + 4])];
    if (broken) context.moveTo(x, first);
    else context.lineTo(x, first);
    if (low !== high) {
      context.lineTo(x, low);
      context.lineTo(x, high);
      context.lineTo(x, last);
    }
    broken = false;
  }
  context.stroke();
  context.globalAlpha = 1;
}

function stroke(context, points) {
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}

function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

// Drawn, not written: not every machine has a font with these signs.
const OUTLINES = {
  checkpoint: [[0, -1], [1, 0], [0, 1], [-1, 0]],
  sample: [[0, -0.9], [1, 0.8], [-1, 0.8]],
  pause: [[-0.8, -0.9], [-0.2, -0.9], [-0.2, 0.9], [-0.8, 0.9], null, [0.2, -0.9], [0.8, -0.9], [0.8, 0.9], [0.2, 0.9]],
  finding: [[-0.8, -1.4], [1, -0.8], [-0.5, -0.1], [-0.5, 1.2], [-0.8, 1.2]],
  cross: [[-1, -0.7], [-0.7, -1], [0, -0.3], [0.7, -1], [1, -0.7], [0.3, 0], [1, 0.7], [0.7, 1], [0, 0.3], [-0.7, 1], [
    -1,
    0.7,
  ], [-0.3, 0]],
};

function shape(context, kind, x, y, colour, size_) {
  context.fillStyle = colour;
  const outline = OUTLINES[kind];
  if (!outline) return dot(context, x, y, size_ * 0.6);
  context.beginPath();
  let begun = false;
  for (const at of outline) {
    if (at === null) {
      context.closePath();
      begun = false;
    } else if (begun) context.lineTo(x + at[0] * size_, y + at[1] * size_);
    else context.moveTo(x + at[0] * size_, y + at[1] * size_);
    begun = at !== null;
  }
  context.closePath();
  context.fill();
}

function extremes(series, x, low, high, log, lines) {
  let least = Infinity, most = -Infinity;
  for (const { data } of series) {
    const [from, to] = data.between(x, low, high), [lows, highs, xs] = [data.low, data.high, data.x(x)];
    for (let i = from; i < to; i++) {
      if (to - from > 2 && (xs[i] < low || xs[i] > high)) continue;
      if (lows[i] < least && (!log || lows[i] > 0)) least = lows[i];
      if (highs[i] > most) most = highs[i];
    }
  }
  for (const { value } of lines) {
    if (!Number.isFinite(value) || (log && value <= 0)) continue;
    [least, most] = [Math.min(least, value), Math.max(most, value)];
  }
  return least <= most ? [least, most] : [log ? 0.1 : 0, 1];
}

function roomy(least, most, log) {
  if (log)
    return least === most
      ? [least / 1.2, most * 1.2]
      : [least / (most / least) ** 0.05, most * (most / least) ** 0.05];
  if (least === most) return least === 0 ? [-1, 1] : [Math.min(0, 2 * least), Math.max(0, 2 * least)];
  const room = most - least, low = least - 0.06 * room;
  return [least >= 0 && low < 0 ? 0 : low, most + 0.06 * room];
}

function firstPositive(xs) {
  for (const x of xs) if (x > 0) return x;
  return 1;
}

function lastIndex(data) {
  let i = data.n - 1;
  while (i > 0 && Number.isNaN(data.y[i])) i--;
  return i;
}

const axisText = (value,
  x) => (x === "time" ? duration(value) : x === "step" ? brief(Math.round(value), value >= 1e6 ? 5 : 6) : brief(value));
const font = () => `11px ${css("--font") || "system-ui, sans-serif"}`;
