// A line chart in words and as a table, for those who do not see the picture.

import { h } from "../dom.js";
import { brief } from "../scale.js";
import { nameOfX, textOfX } from "./axes.js";

const ROWS = 60;

/**
 * A button that shows a table in place of a picture, and the picture again.
 * @param {HTMLElement} picture
 * @param {HTMLElement} table hidden at first
 * @param {string} name what the picture is
 * @param {() => void} changed
 */
export function tableToggle(picture, table, name, changed) {
  const button = h("button", { class: "lab-link lab-chart-toggle", "aria-pressed": "false",
    title: "the same numbers as a table", onclick: () => {
      [picture.hidden, table.hidden] = [table.hidden, !table.hidden];
      button.setAttribute("aria-pressed", String(picture.hidden));
      button.textContent = picture.hidden ? name : "table";
      changed();
    } }, "table");
  return button;
}

/** @param {Lab.ChartOptions} options */
export function description(options) {
  const { label, unit, empty } = options;
  const now = options.series.filter(({ data }) => data.n).map(({ name, data }) => {
    const last = data.last();
    return `${name || label}${last ? ` ${brief(last.value)} at step ${brief(last.step, 6)}` : ": no number"}`;
  });
  const what = `${label} by ${nameOfX(options)}${unit ? `, in ${unit}` : ""}`;
  return `${what}: ${now.join("; ") || empty}. Arrow keys move along it.`;
}

/** The curve with the most points. @param {Lab.Curve[]} series */
export const longestOf = (series) => series.reduce((a, b) => (b.data.n > a.data.n ? b : a));

/**
 * At most some sixty rows of what is in view, the newest first.
 * @param {Lab.ChartOptions} options
 * @param {Lab.Axes | null} axes
 */
export function tableOf(options, axes) {
  const { series, x, label, empty } = options;
  if (!axes) return [h("p", { class: "lab-note" }, empty)];
  const { data } = longestOf(series), steps = data.x("step");
  const [from, to] = data.between(x, axes.across.low, axes.across.high),
    skip = Math.max(1, Math.ceil((to - from) / ROWS));
  /** @param {Lab.Curve} curve @param {number} step */
  const cell = ({ data: other, format = brief }, step) => {
    const i = other.nearest("step", step);
    return h("td", { class: "lab-number" }, i < 0 || other.x("step")[i] > step ? "" : format(other.y[i]));
  };
  const rows = [];
  for (let i = to - 1; i >= from; i -= skip) {
    const place = h("td", { class: "lab-number" }, textOfX(data.x(x)[i], x));
    rows.push(h("tr", {}, place, ...series.map((curve) => cell(curve, steps[i]))));
  }
  const head = [nameOfX(options), ...series.map(({ name }) => name || label)].map((text) =>
    h("th", { scope: "col", class: "lab-number" }, text)
  );
  return [
    h("table", { class: "lab-table" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)),
    skip > 1 ? h("p", { class: "lab-note" }, `every ${brief(skip)}th of ${brief(to - from, 6)} points`) : null,
  ];
}
