// Lines over one axis, small enough to be drawn whole: hover reads all of them at once, a click or Enter picks a place.

import { prepare } from "./canvas.js";
import { css } from "./colour.js";
import { h, hideTip, replace, showTip } from "./dom.js";
import { brief, scale, ticks } from "./scale.js";

const LEFT = 56, RIGHT = 12, TOP = 8, BOTTOM = 34;

// `label`: what it is, for those who cannot see it; `pick(x)`: what a click does. → { node, draw(data) }, where data is
// { x, lines: [{ name, values, colour, error }], xName, yName, title(i), cursor, logX, logY, height }; numbers that are
// not finite are gaps, and `error`, where given, is drawn as a band of that half-width.
export function plot(label, pick) {
  const canvas = h("canvas", { class: "lab-plot", tabindex: 0, role: "application", "aria-label": label });
  const legend = h("div", { class: "lab-key" }), words = h("p", { class: "lab-reading", "aria-live": "polite" });
  let data = null, at = null, across = null, solo = null;
  canvas.addEventListener("mousemove", (event) => point(event, nearest(event)));
  canvas.addEventListener("mouseleave", () => { at = null; hideTip(); paint(); });
  canvas.addEventListener("click", (event) => { const i = nearest(event); if (i !== null) pick?.(data.x[i]); });
  canvas.addEventListener("keydown", move);

  function draw(next) {
    data = next;
    if (at !== null && at >= data.x.length) at = null;
    if (!data.lines.some((line) => line.name === solo)) solo = null;
    replace(legend, ...data.lines.map((line) => h("button", {
      class: "lab-legend", "aria-pressed": String(solo === line.name), title: "show it alone; again: all", style: { "--line": line.colour },
      onclick: () => { solo = solo === line.name ? null : line.name; draw(data); },
    }, line.name)));
    paint();
  }

  const visible = () => (solo === null ? data.lines : data.lines.filter((line) => line.name === solo));

  function paint() {
    const width = Math.max(200, canvas.parentElement?.clientWidth ?? 0), height = data.height ?? 220;
    const context = prepare(canvas, width, height), lines = visible();
    const values = lines.flatMap((line) => [...line.values].filter((v) => Number.isFinite(v) && (!data.logY || v > 0)));
    if (!values.length || !data.x.length) return;
    const spare = data.logY ? 1 : 0.06 * (Math.max(...values) - Math.min(...values) || 1);
    const y = scale(Math.min(...values) - (data.logY ? 0 : spare), Math.max(...values) + (data.logY ? 0 : spare), height - BOTTOM, TOP, { log: data.logY });
    across = scale(data.x[0], data.x[data.x.length - 1], LEFT, width - RIGHT, { log: data.logX, shift: data.logX ? 1 : 0 });
    axes(context, y, width, height);
    for (const line of lines) trace(context, line, y);
    if (Number.isFinite(data.cursor)) upright(context, across(data.cursor), height, css("--lab-mark"), [4, 3]);
    if (at !== null) upright(context, across(data.x[at]), height, css("--lab-muted"), []);
  }

  function axes(context, y, width, height) {
    context.font = `11px ${css("--font") || "sans-serif"}`;
    context.fillStyle = css("--lab-muted");
    context.strokeStyle = css("--lab-line");
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const v of ticks(y, 5)) {
      context.fillText(brief(v), LEFT - 6, y(v));
      context.strokeRect(LEFT, Math.round(y(v)) + 0.5, width - LEFT - RIGHT, 0);
    }
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    for (const v of ticks(across, Math.max(2, Math.floor(width / 70)))) context.fillText(brief(v), across(v), height - BOTTOM + 15);
    context.fillText(data.xName, (LEFT + width - RIGHT) / 2, height - 4);
  }

  function trace(context, line, y) {
    const good = (i) => Number.isFinite(line.values[i]) && (!data.logY || line.values[i] > 0);
    const path = (value) => {
      let open = false;
      for (let i = 0; i < data.x.length; i++) {
        if (!good(i)) { open = false; continue; }
        context[open ? "lineTo" : "moveTo"](across(data.x[i]), y(value(i)));
        open = true;
      }
    };
    context.strokeStyle = context.fillStyle = line.colour;
    if (line.error) {
      context.globalAlpha = 0.25;
      context.lineWidth = 1;
      for (let i = 0; i < data.x.length; i++) {
        if (!good(i) || !Number.isFinite(line.error[i])) continue;
        const high = y(line.values[i] + line.error[i]);
        context.fillRect(across(data.x[i]) - 1.5, high, 3, y(line.values[i] - line.error[i]) - high);
      }
      context.globalAlpha = 1;
    }
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.beginPath();
    path((i) => line.values[i]);
    context.stroke();
    // A number between two gaps is no line: a dot.
    for (let i = 0; i < data.x.length; i++) if (good(i) && !(i && good(i - 1)) && !good(i + 1)) context.fillRect(across(data.x[i]) - 2, y(line.values[i]) - 2, 4, 4);
  }

  function upright(context, x, height, colour, dash) {
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(x, TOP);
    context.lineTo(x, height - BOTTOM);
    context.stroke();
    context.setLineDash([]);
  }

  function nearest(event) {
    if (!data?.x.length || !across) return null;
    const x = event.clientX - canvas.getBoundingClientRect().left;
    let best = 0;
    for (let i = 1; i < data.x.length; i++) if (Math.abs(across(data.x[i]) - x) < Math.abs(across(data.x[best]) - x)) best = i;
    return best;
  }

  function point(event, i) {
    if (i === null) return;
    at = i;
    paint();
    showTip(event, data.title(i), say(i));
  }

  function say(i) {
    const rows = visible().map((line) => [line.name, brief(line.values[i])]);
    words.textContent = `${data.title(i)}: ${rows.map((row) => row.join(" ")).join(", ")}`;
    return rows;
  }

  function move(event) {
    if (!data?.x.length) return;
    if (event.key === "Enter" && at !== null) return pick?.(data.x[at]);
    const to = { ArrowLeft: (at ?? data.x.length) - 1, ArrowRight: (at ?? -1) + 1, Home: 0, End: data.x.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    at = Math.min(data.x.length - 1, Math.max(0, to));
    paint();
    say(at);
  }

  return { node: h("div", { class: "lab-plot-box" }, canvas, legend, words), canvas, draw };
}
