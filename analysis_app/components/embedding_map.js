// The vocabulary as a map: token embeddings in two directions that are the last snapshot's at every step, so that what
// moves on it has moved. Hover reads a token, click chooses it; beside it its nearest neighbours, in all directions.

import { prepare } from "./lib/canvas.js";
import { post } from "./lib/client.js";
import { css } from "./lib/colour.js";
import { count, fixed, h, hideTip, percent, replace, showTip } from "./lib/dom.js";
import { actionsOf, panel } from "./lib/panel.js";
import { option, setOption, state } from "./lib/store.js";

const KINDS = ["lower case", "capital", "digit", "space", "punctuation", "other"];
const HEIGHT = 440, MARGIN = 16, NAMED = 130, NEAR = 14;

export function mount(element) {
  let view = null, near = null, at = null, spots = [];
  const canvas = h("canvas", { class: "lab-map lab-scatter", tabindex: 0, role: "application" }),
    words = h("p", { class: "lab-reading", "aria-live": "polite" });
  const legend = h("div", { class: "lab-key" }), note = h("p", { class: "lab-note" }),
    side = h("div", { class: "lab-neighbours" });
  const search = h("input", { type: "text", id: "lab-find-token", maxlength: 200, placeholder: "find a token, Enter",
    "aria-label": "find a token", onkeydown: (event) => event.key === "Enter" && find() });
  const said = h("span", { class: "lab-warn", role: "status" });
  const found = panel(element, {
    request({ run, step }) {
      const token = chosen();
      const requests = [["embeddings", { run, step, packed: true }]];
      return token === null ? requests : [...requests, ["neighbours", { run, step, token }]];
    },
    show(answer, neighbours = null) {
      [view, near] = [answer, neighbours];
      replace(actionsOf(element), search, said);
      at = null;
      draw();
    },
    draw,
  });
  replace(found.body, h("div", { class: "lab-mapped" }, h("div", {}, canvas, legend, words, note), side));
  canvas.addEventListener("mousemove", (event) => point(event, closest(event)));
  canvas.addEventListener("mouseleave", () => {
    at = null;
    hideTip();
    draw();
  });
  canvas.addEventListener("click", (event) => choose(closest(event)));
  canvas.addEventListener("keydown", move);

  function chosen() {
    const id = option("piece", null, (text) => /^\d{1,9}$/.test(text));
    return id === null || Number(id) >= state.info.model.vocab_size ? null : Number(id);
  }

  function choose(i) {
    if (i !== null) setOption("piece", chosen() === view.ids[i] ? null : view.ids[i]);
  }

  async function find() {
    const text = search.value, { run, step } = state.selection;
    said.textContent = "";
    if (!text) return;
    const named = view.tokens.indexOf(text);
    if (named >= 0) return setOption("piece", view.ids[named]);
    try {
      setOption("piece", (await post("api/analyze/piece", { run, step, text })).id);
    } catch (error) {
      if (search.value === text) said.textContent = error.message;
    }
  }

  function draw() {
    const width = Math.max(240, Math.min(760, canvas.parentElement.clientWidth)),
      context = prepare(canvas, width, HEIGHT),
      n = view.ids.length,
      xy = view.points.data;
    // One scale for both directions, and the last snapshot's at every step.
    const reach = Math.max(1e-9, view.extent), unit = (Math.min(width, HEIGHT) / 2 - MARGIN) / reach;
    const token = chosen(), nearest = new Set(near?.ids ?? []), kinds = KINDS.map((_, i) => css(`--lab-kind-${i}`));
    spots = Array.from({ length: n }, (_, i) => [width / 2 + xy[2 * i] * unit, HEIGHT / 2 - xy[2 * i + 1] * unit]);
    context.strokeStyle = css("--lab-line");
    context.strokeRect(0.5, HEIGHT / 2, width - 1, 0);
    context.strokeRect(width / 2, 0.5, 0, HEIGHT - 1);
    context.font = `12px ${css("--font-mono") || "monospace"}`;
    context.textBaseline = "middle";
    context.textAlign = "center";
    const order = [...spots.keys()].sort((a, b) => weight(a) - weight(b));
    for (const i of order) {
      const [x, y] = spots[i], special = view.ids[i] === token || nearest.has(view.ids[i]) || i === at;
      context.fillStyle = kinds[KINDS.indexOf(view.kinds[i])];
      context.globalAlpha = token === null || special ? 1 : 0.35;
      if (n <= NAMED || special) {
        if (special) halo(context, view.tokens[i], x, y, view.ids[i] === token || i === at);
        context.fillText(view.tokens[i], x, y);
      } else context.fillRect(x - 2, y - 2, 4, 4);
    }
    context.globalAlpha = 1;
    canvas.setAttribute("aria-label",
      `map of ${n} token embeddings. Arrow keys go to the next token that way, Enter chooses it.`);
    legendOf(kinds);
    listNeighbours();
    if (at === null) words.textContent = "Point at a token to read it; click to see its neighbours.";
    const more = n < view.vocab_size ? ` The ${count(n)} most frequent of ${count(view.vocab_size)} tokens.` : "";
    note.textContent = `Directions of step ${count(view.fitted_step)}, at every step; at this one they hold ${
      percent(view.explained.data[0] + view.explained.data[1])
    } of the variance.${more}${view.tied ? " The same embedding scores the next token." : ""}`;
    found.root.dataset.points = n;
  }

  const weight = (i) => (i === at ? 3 : view.ids[i] === chosen() ? 2 : near?.ids.includes(view.ids[i]) ? 1 : 0);

  function halo(context, text, x, y, strong) {
    const wide = context.measureText(text).width + 8, fill = context.fillStyle;
    context.fillStyle = css("--lab-card");
    context.fillRect(x - wide / 2, y - 9, wide, 18);
    context.strokeStyle = css(strong ? "--lab-mark" : "--lab-accent");
    context.strokeRect(x - wide / 2, y - 9, wide, 18);
    context.fillStyle = fill;
  }

  function legendOf(kinds) {
    const there = KINDS.filter((name) => view.kinds.includes(name));
    replace(legend,
      ...there.map((name) => h("span", { class: "lab-dot", style: { "--dot": kinds[KINDS.indexOf(name)] } }, name)));
  }

  function listNeighbours() {
    if (!near)
      return replace(side,
        h("p", { class: "lab-note" }, "Choose a token to see which embeddings point most nearly the same way."));
    const cosines = near.cosines;
    replace(side, h("h3", { class: "lab-subtitle" }, "Nearest to “", near.token, "”"),
      h("div", { class: "lab-bars lab-signed", role: "list" }, ...near.tokens.map((name, i) => {
        const width = `${50 * Math.abs(cosines[i])}%`,
          place = cosines[i] < 0 ? { right: "50%", width } : { left: "50%", width };
        return h("div", { class: "lab-bar", role: "listitem", data: { id: near.ids[i] } },
          h("span", { class: "lab-bar-name" },
            h("button", { class: "lab-link", onclick: () => setOption("piece", near.ids[i]) }, name)),
          h("span", { class: "lab-bar-track" },
            h("i", { class: cosines[i] < 0 ? "lab-bar-minus" : "lab-bar-now", style: place })),
          h("span", { class: "lab-bar-value" }, h("b", {}, fixed(cosines[i], 2))));
      })), h("p", { class: "lab-note" }, "Cosine similarity of the whole vectors, not of the map."),
      h("button", { class: "lab-button", onclick: () => setOption("piece", null) }, "Choose none"));
    found.root.dataset.token = near.id;
  }

  function closest(event) {
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    let best = null, least = NEAR;
    spots.forEach(([a, b], i) => {
      const d = Math.hypot(a - x, b - y);
      if (d < least) [best, least] = [i, d];
    });
    return best;
  }

  function point(event, i) {
    if (i === at) return;
    at = i;
    draw();
    if (i === null) return hideTip();
    showTip(event, view.tokens[i], say(i));
  }

  function say(i) {
    words.textContent = `“${view.tokens[i]}” (id ${view.ids[i]}): ${fixed(view.points.data[2 * i])}, ${
      fixed(view.points.data[2 * i + 1])
    }`;
    return [["id", String(view.ids[i])], ["kind", view.kinds[i]], ["in the validation slice", count(view.counts[i])]];
  }

  function move(event) {
    if (event.key === "Enter" && at !== null) return choose(at);
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const from = at ?? Math.max(0, view.ids.indexOf(chosen()));
    let best = from, least = Infinity;
    spots.forEach(([x, y], i) => {
      const ahead = (x - spots[from][0]) * way[0] + (y - spots[from][1]) * way[1],
        aside = Math.abs((x - spots[from][0]) * way[1]) + Math.abs((y - spots[from][1]) * way[0]);
      if (i !== from && ahead > 0 && aside <= 2 * ahead && ahead + 2 * aside < least)
        [best, least] = [i, ahead + 2 * aside];
    });
    at = best;
    draw();
    say(at);
  }
}
