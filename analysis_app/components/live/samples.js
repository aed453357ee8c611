// What the model writes while it learns: the same prompt step after step, the newest first, a slider over the steps.

import { choice, count, h, replace } from "../lib/dom.js";
import { clock } from "./words.js";

const BEFORE = 3; // earlier samples shown beneath

// `ask(prompt)`: let the trainer write one now.
export function sampler(ask) {
  const prompts = h("div", { class: "lab-sample-prompts" }),
    slider = h("input", { type: "range", id: "lab-sample-step", min: 0, "aria-label": "step of the sample",
      oninput: () => pick(Number(slider.value)) });
  const bar = h("div", { class: "lab-slider" },
    h("button", { class: "lab-button", "aria-label": "earlier sample", onclick: () => pick(at - 1) }, "‹"), slider,
    h("button", { class: "lab-button", "aria-label": "later sample", onclick: () => pick(at + 1) }, "›"));
  const place = h("div", { class: "lab-samples" });
  const text = h("input", { type: "text", id: "lab-sample-prompt", maxlength: 2000, placeholder: "a prompt of your own",
    "aria-label": "prompt of the sample", onkeydown: (e) => e.key === "Enter" && !button.disabled && ask(text.value) });
  const button = h("button", { class: "lab-button", id: "lab-sample-now", onclick: () => ask(text.value) },
    "Sample now");
  const root = h("div", {}, h("div", { class: "lab-sample-ask" }, text, button), prompts, bar, place);
  let all = [], prompt = null, shown = [], at = -1, drawn = "";
  return { root, show, can, jump };

  function show(samples) {
    // Only what is new is drawn anew: somebody may be reading.
    const key = `${samples.length} ${samples[0]?.wall} ${prompt}`;
    if (key === drawn) return;
    const followed = at === shown.length - 1;
    all = samples;
    const good = all.filter((s) => Number.isInteger(s.step) && typeof s.text === "string"),
      names = [...new Set(good.map((s) => s.prompt ?? ""))];
    if (!names.includes(prompt)) prompt = names.length > 1 && names[0] === "" ? names[1] : names[0] ?? null;
    replace(prompts, names.length > 1
      ? choice("Prompt", names.map((name) => [name, name === "" ? "(none: the start of a document)" : clip(name)]),
        prompt, (name) => {
        [prompt, at, shown] = [name, -1, []];
        show(all);
      })
      : null);
    // A run that went back wrote the sample of a step twice: the later counts.
    const steps = new Map(good.filter((s) => (s.prompt ?? "") === prompt).map((s) => [s.step, s]));
    shown = [...steps.values()].sort((a, b) => a.step - b.step);
    slider.max = Math.max(0, shown.length - 1);
    bar.hidden = shown.length < 2;
    pick(followed || at < 0 ? shown.length - 1 : at);
    drawn = `${samples.length} ${samples[0]?.wall} ${prompt}`;
  }

  function pick(to) {
    at = Math.min(shown.length - 1, Math.max(shown.length ? 0 : -1, to));
    slider.value = at;
    if (at < 0)
      return replace(place,
        h("p", { class: "lab-note" }, "No sample yet. The first is written at step 0; or ask for one."));
    slider.setAttribute("aria-valuetext", `step ${shown[at].step}`);
    replace(place,
      ...shown.slice(Math.max(0, at - BEFORE), at + 1).reverse().map((sample, i) =>
        h("article", { class: i ? "lab-sample lab-sample-old" : "lab-sample", data: { step: sample.step } },
          h("h3", {}, `step ${count(sample.step)}`, h("small", {}, clock(sample.wall))),
          h("div", { class: "lab-sample-text", tabindex: 0, role: "group", "aria-label": "what it wrote" },
            h("span", { class: "lab-prompt" }, sample.prompt ?? ""), h("span", {}, sample.text)), copied(sample))
      ));
  }

  function copied({ longest_copy: copy }) {
    return copy && copy.tokens > 8
      ? h("small", { title: copy.text }, `${count(copy.tokens)} tokens in a row also stand in the training text`)
      : null;
  }

  // Show the sample of a step, whatever its prompt.
  function jump(step) {
    const there = all.filter((s) => s.step === step);
    if (!there.length) return;
    if (!there.some((s) => (s.prompt ?? "") === prompt)) [prompt, at, shown] = [there[0].prompt ?? "", -1, []];
    show(all);
    pick(shown.findIndex((s) => s.step === step));
    root.scrollIntoView({ block: "nearest" });
  }

  function can(allowed, reason) {
    button.disabled = !allowed;
    button.title = allowed ? "let the trainer write after this step" : reason;
  }
}

const clip = (text) => (text.length > 48 ? `${text.slice(0, 47)}…` : text).replaceAll("\n", "⏎");
