// The player: a slider over the run's snapshots, play, jumps, and which text is seen; where it has to be computed, how
// far that is. Space plays, arrows move, Home and End go to the ends.

import { clip, count, fact, fixed, h, replace, short } from "./lib/dom.js";
import { player, timeline } from "./lib/frame_player.js";
import { panel } from "./lib/panel.js";
import { contentOf, currentText, select, state } from "./lib/store.js";
import { valText } from "./lib/validation.js";

const CLIP = 34;

/** @param {string} label @param {string} text @param {() => void} act */
const button = (label, text, act) =>
  h("button", { class: "lab-button", "aria-label": label, title: label, onclick: act }, text);

/** @param {Element} element */
export function mount(element) {
  const start = button("play", "▶", () => player.play());
  const slider = h("input", { type: "range", id: "lab-time", min: 0, max: 0, value: 0, "aria-label": "snapshot",
    oninput: () => {
      player.go(Number(slider.value));
    } });
  const bar = h("div", { class: "lab-player" }, button("one snapshot back", "◂", () => player.go(player.at - 1)), start,
    button("one snapshot on", "▸", () => player.go(player.at + 1)), slider);
  const facts = h("div", { class: "lab-facts lab-time-facts" }), notes = h("div", { class: "lab-time-notes" });
  const texts = h("div", { class: "lab-actions-row lab-jumps" }), jumps = jumpRow();
  const progress = h("div", { class: "lab-progress", role: "status" });
  const found = panel(element, { request: wanted, ask: player.begin, show: all, update: where,
    numbers: () => ({ ...player.start, steps: player.frames.map((frame) => frame.step),
      token_loss: player.frames.map((frame) => frame.token_loss), learned: player.learned }) });
  replace(found.body, texts, bar, facts, progress, jumps.node, notes);
  found.root.addEventListener("keydown", (event) => {
    if (event.key !== " " || (event.target instanceof Element && event.target.closest("button"))) return;
    event.preventDefault();
    player.play();
  });
  player.on((what) => {
    if (what === "start") found.refresh();
    if (!found.root.offsetParent) return what === "move" && player.play(false);
    if (what === "play") label();
    else if (what === "move") where();
    else all();
  });

  function all() {
    if (!player.start) return;
    slider.max = String(Math.max(0, player.frames.length - 1));
    bar.classList.toggle("lab-off", player.frames.length < 2);
    replace(texts, ...textsOf(player.start));
    replace(progress, ...progressOf(player.start));
    where();
    replace(notes, ...player.start.notes.map((note) => h("p", { class: "lab-note" }, note)),
      ...player.problems.map((problem) => h("p", { class: "lab-warn" }, `left out: ${problem}`)));
    jumps.fill();
    Object.assign(found.root.dataset, { frames: player.frames.length, ended: player.ended ?? "",
      origin: player.start.origin });
  }

  function label() {
    start.textContent = player.playing ? "❚❚" : "▶";
    ["aria-label", "title"].forEach((name) => start.setAttribute(name, player.playing ? "pause" : "play"));
    start.setAttribute("aria-pressed", String(player.playing));
  }

  function where() {
    const frame = player.shown;
    if (!frame) return;
    slider.value = String(player.at);
    slider.setAttribute("aria-valuetext", `step ${frame.step}`);
    replace(facts, ...factsOf(frame));
    found.root.dataset.step = String(frame.step);
  }
}

/** What the panel asks for, or a button where the run has no activations recorded for this text. */
function wanted() {
  const { start } = player, asked = player.request();
  if (typeof asked !== "string" || !start || start.ready) return asked;
  const { length } = start.steps;
  const why = start.probe_texts.length
    ? "This text is none of the run’s probe texts, whose insides were written down while it trained."
    : "This run wrote down no probe texts while it trained (probes.every: 0), so nothing can be shown at once.";
  return { empty: `${why} It can be computed by opening each of the ${count(length)} snapshots in turn. `,
    action: /** @type {Lab.Missing["action"]} */ ([`Compute ${count(length)} snapshots`, player.compute]) };
}

/** @param {Lab.Frame} frame */
function factsOf({ step, token_loss: { data } }) {
  const row = state.info?.weights.find((w) => w.step === step && !w.problem);
  return [fact("step", count(step)), fact("tokens seen", short(row?.tokens)),
    fact("train loss", fixed(row?.train_loss)), fact("val loss", valText(row)),
    fact("loss of this text", fixed(data.reduce((a, b) => a + b, 0) / data.length)),
    fact("snapshot", `${player.at + 1} of ${player.frames.length}`)];
}

/** @param {Lab.PlayerStart} start */
function textsOf({ probe_texts: texts }) {
  const chosen = texts.findIndex((text) => text.startsWith(currentText()));
  return [
    texts.length ? h("span", { class: "lab-name" }, "Probe texts") : null,
    ...texts.map((text, i) =>
      h("button", { class: "lab-preset", "aria-pressed": String(i === chosen), title: text, onclick: () =>
        select({ text }) }, `${i + 1}: ${brief(text)}`)
    ),
    chosen < 0 ? h("span", { class: "lab-note" }, `your own text: ${brief(currentText())}`) : null,
  ];
}

/** How far it is, with a button to stop it or to go on. @param {Lab.PlayerStart} start */
function progressOf({ ready, origin, steps: { length: of } }) {
  const { ended, failure, frames: { length: done } } = player, own = origin === "computed";
  if (ended === "done" || !ready) return [];
  const far = `${done} of ${of} snapshots`;
  const words = ended === null
    ? `${own ? "computed" : "read"} ${far}`
    : ended === "stopped"
    ? `stopped after ${far}`
    : `${failure} (after ${far})`;
  return [
    h("progress", { max: of, value: done, "aria-label": "snapshots so far" }),
    h("span", { class: ended === "failed" ? "lab-warn" : "lab-note" }, words),
    ended === null
      ? h("button", { class: "lab-button", onclick: player.stop }, "Stop")
      : h("button", { class: "lab-button", onclick: player.goOn }, "Go on"),
  ];
}

/** Buttons to the first snapshot, the last, and the steps between that are worth a look. */
function jumpRow() {
  const node = h("div", { class: "lab-actions-row lab-jumps" });
  /** @type {Lab.TimelineView["landmarks"]} */
  let marks = [];
  /** @type {string | null} whose landmarks they are */
  let asked = null;

  function show() {
    const { frames } = player, [first, last] = [frames[0]?.step, frames[frames.length - 1]?.step];
    const ends = [{ name: "first", step: first, why: "the first snapshot" }, ...marks, { name: "last", step: last,
      why: "the last snapshot" }];
    replace(node, h("span", { class: "lab-name" }, "Jump to"),
      ...ends.filter((mark) => Number.isFinite(mark.step)).map(({ name, step, why }) =>
        h("button", { class: "lab-preset", title: why, data: { landmark: name }, onclick: () => player.goToStep(step) },
          name, h("small", {}, ` ${count(step)}`))
      ));
  }

  async function fill() {
    const { run } = state.selection, wanted = JSON.stringify([run, contentOf({ run })]);
    if (asked === wanted) return show();
    [asked, marks] = [wanted, []];
    show();
    try {
      const { landmarks } = await timeline(run);
      if (wanted !== asked) return;
      marks = landmarks;
    } catch {
      return; // the curves below ask for the same and say what is wrong
    }
    show();
  }

  return { node, fill };
}

/** Visible characters, so that a line break does not make two lines of a button. @param {string} text */
const brief = (text) => clip(text.replaceAll("\n", "⏎"), CLIP);
