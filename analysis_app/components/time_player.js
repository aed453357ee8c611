// The player: a slider over the run's snapshots, play, jumps, and which text is seen; where it has to be computed, how
// far that is. Space plays, arrows move, Home and End go to the ends.

import { count, fixed, h, replace, short } from "./lib/dom.js";
import { begin, compute, film, go, goToStep, load, onFilm, play, request, shown, stop, timeline } from "./lib/film.js";
import { panel } from "./lib/panel.js";
import { currentText, select, state } from "./lib/store.js";

const CLIP = 34;

export function mount(element) {
  let marks = [], asked = null;
  const button = (label, text, act) =>
    h("button", { class: "lab-button", "aria-label": label, title: label, onclick: act }, text);
  const start = button("play", "▶", () => play());
  const slider = h("input", { type: "range", id: "lab-time", min: 0, max: 0, value: 0, "aria-label": "snapshot",
    oninput: () => {
      play(false);
      go(Number(slider.value));
    } });
  const bar = h("div", { class: "lab-player" }, button("one snapshot back", "◂", () => step(-1)), start,
    button("one snapshot on", "▸", () => step(1)), slider);
  const facts = h("div", { class: "lab-facts lab-time-facts" }),
    jumps = h("div", { class: "lab-actions-row lab-jumps" });
  const texts = h("div", { class: "lab-actions-row lab-jumps" }),
    progress = h("div", { class: "lab-progress", role: "status" }),
    notes = h("div", { class: "lab-time-notes" });
  const found = panel(element, {
    request() {
      const wanted = request();
      if (typeof wanted === "string" && film.start && !film.start.ready) {
        const { length } = film.start.steps, bundles = film.start.probe_texts.length > 0;
        const why = bundles
          ? "This text is none of the run’s probe texts, whose insides were written down while it trained."
          : "This run wrote down no probe texts while it trained (probes.every: 0), so nothing can be shown at once.";
        return { empty: `${why} It can be computed by opening each of the ${count(length)} snapshots in turn. `,
          action: [`Compute ${count(length)} snapshots`, compute] };
      }
      return wanted;
    },
    ask: begin,
    numbers: () => ({ ...film.start, steps: film.frames.map((frame) => frame.step),
      token_loss: film.frames.map((frame) => frame.token_loss), learned: film.learned }),
    show: all,
    update: where,
  });
  replace(found.body, texts, bar, facts, progress, jumps, notes);
  found.root.addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target.closest("button")) return;
    event.preventDefault();
    play();
  });
  onFilm((what) => {
    if (what === "start") found.refresh();
    if (!found.root.offsetParent) return what === "move" && play(false);
    if (what === "play") label();
    else if (what === "move") where();
    else all();
  });

  function step(by) {
    play(false);
    go(film.at + by);
  }

  function all() {
    if (!film.start) return;
    slider.max = Math.max(0, film.frames.length - 1);
    bar.classList.toggle("lab-off", film.frames.length < 2);
    tellTexts();
    tellProgress();
    where();
    replace(notes,
      ...[...film.start.notes, ...film.problems.map((problem) => `left out: ${problem}`)].map((note) =>
        h("p", { class: film.problems.some((p) => note.endsWith(p)) ? "lab-warn" : "lab-note" }, note)
      ));
    if (asked !== state.selection.run) landmarks();
    else tellJumps();
    found.root.dataset.frames = film.frames.length;
    found.root.dataset.ended = film.ended ?? "";
    found.root.dataset.origin = film.start.origin;
  }

  function label() {
    start.textContent = film.playing ? "❚❚" : "▶";
    ["aria-label", "title"].forEach((name) => start.setAttribute(name, film.playing ? "pause" : "play"));
    start.setAttribute("aria-pressed", String(film.playing));
  }

  function where() {
    const frame = shown();
    if (!frame) return;
    slider.value = film.at;
    slider.setAttribute("aria-valuetext", `step ${frame.step}`);
    const row = state.info.weights.find((w) => w.step === frame.step && !w.problem),
      fact = (name, value) => h("span", {}, h("small", {}, name), h("b", {}, value));
    const mean = frame.token_loss.data.reduce((a, b) => a + b, 0) / frame.token_loss.data.length;
    replace(facts, fact("step", count(frame.step)), fact("tokens seen", short(row?.tokens)),
      fact("train loss", fixed(row?.train_loss, 3)), fact("val loss", fixed(row?.val_loss, 3)),
      fact("loss of this text", fixed(mean, 3)), fact("snapshot", `${film.at + 1} of ${film.frames.length}`));
    found.root.dataset.step = frame.step;
  }

  function tellTexts() {
    const chosen = film.start.probe_texts.findIndex((text) => text.startsWith(currentText()));
    const choose = film.start.probe_texts.map((text, i) =>
      h("button", {
        class: "lab-preset",
        "aria-pressed": String(i === chosen),
        title: text,
        onclick: () => select({ text }),
      }, `${i + 1}: ${brief(text)}`)
    );
    replace(texts, choose.length ? h("span", { class: "lab-name" }, "Probe texts") : null, ...choose,
      chosen < 0 ? h("span", { class: "lab-note" }, `your own text: ${brief(currentText())}`) : null);
  }

  function tellProgress() {
    const { length: of } = film.start.steps, { length: done } = film.frames, own = film.start.origin === "computed";
    if (film.ended === "done" || !film.start.ready) return replace(progress);
    const words =
      { null: `${own ? "computed" : "read"} ${done} of ${of} snapshots`,
        stopped: `stopped after ${done} of ${of} snapshots`,
        failed: `${film.failure} (after ${done} of ${of} snapshots)` }[film.ended];
    const act = film.ended === null
      ? h("button", { class: "lab-button", onclick: stop }, "Stop")
      : h("button", { class: "lab-button", onclick: () => load(JSON.parse(film.key), own) }, "Go on");
    replace(progress, h("progress", { max: of, value: done, "aria-label": "snapshots so far" }),
      h("span", { class: film.ended === "failed" ? "lab-warn" : "lab-note" }, words), act);
  }

  async function landmarks() {
    const run = (asked = state.selection.run);
    [marks] = [[]];
    tellJumps();
    try {
      const { landmarks: answer } = await timeline(run);
      if (run !== asked) return;
      marks = answer;
    } catch {
      return; // the curves below ask for the same and say what is wrong
    }
    tellJumps();
  }

  function tellJumps() {
    const ends = [{ name: "first", step: film.frames[0]?.step, why: "the first snapshot" }, ...marks, { name: "last",
      step: film.frames[film.frames.length - 1]?.step, why: "the last snapshot" }];
    replace(jumps, h("span", { class: "lab-name" }, "Jump to"),
      ...ends.filter((mark) => Number.isFinite(mark.step)).map((mark) =>
        h("button", { class: "lab-preset", title: mark.why, data: { landmark: mark.name }, onclick: () => {
          play(false);
          goToStep(mark.step);
        } }, mark.name, h("small", {}, ` ${count(mark.step)}`))
      ));
  }
}

// Visible characters, so that a line break does not make two lines of a button.
function brief(text) {
  const line = text.replaceAll("\n", "⏎");
  return line.length > CLIP ? `${line.slice(0, CLIP - 1)}…` : line;
}
