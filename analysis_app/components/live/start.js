// Starting a run: what to train, how long, on what, and how large that is before it begins.

import { get, post } from "../lib/client.js";
import { bytes, count, h, replace, short } from "../lib/dom.js";
import { duration } from "../lib/scale.js";
import { sentence } from "./words.js";

const TYPING_MS = 350;
const OWN = "file:"; // marks a text of one's own among the corpora
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

// `began(run)` is called with the name of a run whose process has been started.
export function starter(began) {
  const fields = {
    config: field("Configuration", select(() => configured())),
    preset: field("Model", select(asked)),
    corpus: field("Text", select(asked), "or put a file of your own into the data folder"),
    length: field("Length", h("input", { type: "number", min: 0, step: "any", oninput: asked }), "",
      h("select", { "aria-label": "unit of the length", onchange: asked },
        ...["steps", "minutes"].map((unit) => h("option", { value: unit }, unit)))),
    batch_size: field("Batch", h("input", { type: "number", min: 1, oninput: asked }), "sequences at a time"),
    lr: field("Learning rate", h("input", { type: "number", min: 0, step: "any", oninput: asked }), "at its peak"),
    seed: field("Seed", h("input", { type: "number", min: 0, oninput: asked }), "of weights and chance"),
    run: field("Name",
      h("input", { type: "text", maxlength: 100, spellcheck: "false", autocomplete: "off",
        placeholder: "the date and two words", oninput: asked })),
  };
  const about = h("p", { class: "lab-note" }), size = h("p", { class: "lab-size", role: "status" }),
    cost = h("p", { class: "lab-size", id: "lab-cost", role: "status" }),
    problem = h("p", { class: "lab-problem-line", role: "alert" });
  const command = h("code", { class: "lab-command" }),
    button = h("button", { class: "lab-button lab-primary", id: "lab-start-run", type: "submit" }, "Start training");
  const tryButton = h("button", { class: "lab-button", id: "lab-try-run", type: "button",
    title: "makes a few real steps and throws them away: half a minute", onclick: rehearse }, "What will it cost?");
  const copyButton = h("button", { class: "lab-button", type: "button", onclick: copy }, "Copy");
  const form = h("form", { class: "lab-form", novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    start();
  } }, h("div", { class: "lab-form-fields" }, ...Object.values(fields).map((f) => f.root)), about, size, cost, problem,
    h("div", { class: "lab-form-end" }, button, tryButton, h("span", { class: "lab-note" }, "or in a terminal:"),
      command, copyButton));
  const note = h("p", { class: "lab-help" });
  const root = h("section", { class: "lab-card lab-start", id: "lab-start", hidden: true, "aria-label": "start a run" },
    h("header", {}, h("div", { class: "lab-title" }, h("h2", {}, "Start a run")),
      h("button", { class: "lab-link", id: "lab-start-close", type: "button", onclick: () => open(false) }, "close"),
      note), form);
  let options = null, taken = [], timer = null, asking = 0, busy = false;
  return { root, open, known };

  function known(runs) {
    taken = runs.map((r) => r.name);
    root.querySelector("#lab-start-close").hidden = !taken.length;
    note.textContent = taken.length
      ? "A process of its own: it goes on when this page or its server is closed."
      : "There is no run in this folder yet. The first is ready in a few minutes; it goes on when this page is closed.";
  }

  async function open(yes) {
    root.hidden = !yes;
    document.getElementById("lab-new-run")?.setAttribute("aria-expanded", String(yes));
    if (!yes || options) return;
    try {
      options = await get("api/train/options");
    } catch (error) {
      return fail(error);
    }
    choices(fields.config, options.configurations.map((c) => [c.name, c.name]));
    choices(fields.preset, [["", "as configured"],
      ...options.presets.map((p) => [p.name, `${p.name}: ${p.n_layers} layers, ${p.d_model} wide`])]);
    if (options.configurations.some((c) => c.name === "quickstart")) fields.config.input.value = "quickstart";
    configured();
  }

  // ---------------------------------------------------------------- what is asked for

  function chosen() {
    return options.configurations.find((c) => c.name === fields.config.input.value)?.settings ?? {};
  }

  // Another configuration: its own values stand in the empty fields.
  function configured() {
    const { data = {}, model = {}, horizon = {}, ...rest } = chosen(),
      found = options.configurations.find((c) => c.name === fields.config.input.value);
    about.textContent = found?.about ?? "";
    const own = options.files.map((name) => [`${OWN}${name}`, `own file: ${name}`]), corpus = fields.corpus.input.value;
    choices(fields.corpus, [["", `as configured (${data.corpus ?? "python"})`],
      ...(options.settings.corpus?.choices ?? []).filter((name) => name !== "text").map((name) => [name, name]),
      ...own]);
    if ([...fields.corpus.input.options].some((o) => o.value === corpus)) fields.corpus.input.value = corpus;
    const unit = ["steps", "minutes"].find((name) => horizon[name]);
    if (!fields.length.input.value) fields.length.unit.value = unit ?? "steps";
    fields.length.input.placeholder = unit === fields.length.unit.value ? horizon[unit] : "as configured";
    fields.batch_size.input.placeholder = data.batch_size ?? "16";
    fields.lr.input.placeholder = model.optimizer?.lr ?? "as configured";
    fields.seed.input.placeholder = rest.seed_everything ?? "1337";
    asked();
  }

  function overrides() {
    const value = (name) => (fields[name].input.value === "" ? undefined : Number(fields[name].input.value));
    const corpus = fields.corpus.input.value,
      found = { preset: fields.preset.input.value || undefined, batch_size: value("batch_size"), lr: value("lr"),
        seed: value("seed"), [fields.length.unit.value]: value("length") };
    if (corpus.startsWith(OWN)) found.file = corpus.slice(OWN.length);
    else if (corpus) found.corpus = corpus;
    return Object.fromEntries(Object.entries(found).filter(([, v]) => v !== undefined));
  }

  function asked() {
    if (!options) return;
    const wrong = problems();
    Object.entries(fields).forEach(([name, f]) => mark(f, wrong[name]));
    problem.textContent = cost.textContent = "";
    asking += 1;
    command.textContent = terminal();
    button.disabled = tryButton.disabled = busy || Object.keys(wrong).length > 0;
    window.clearTimeout(timer);
    if (!Object.keys(wrong).length) timer = window.setTimeout(measure, TYPING_MS);
    else size.textContent = "";
  }

  // What can be known here, a sentence a field. The rest is judged by the server.
  function problems() {
    const found = {}, numbers = { batch_size: "batch_size", lr: "lr", seed: "seed", length: fields.length.unit.value };
    for (const [name, setting] of Object.entries(numbers)) {
      const { input } = fields[name], rule = options.settings[setting];
      if (input.validity.badInput) found[name] = "That is not a number.";
      if (input.value === "" || !rule) continue;
      const value = Number(input.value), whole = rule.kind === "int";
      if ((whole && !Number.isInteger(value)) || !(value >= rule.least && value <= rule.most))
        found[name] = `Give ${whole ? "a whole number" : "a number"} from ${plain(rule.least)} to ${plain(rule.most)}.`;
    }
    const name = fields.run.input.value;
    if (name === "last") found.run = "“last” stands for the newest run: choose another name.";
    else if (name && !NAME.test(name))
      found.run = "Letters, digits, dot, _ and - are allowed, the first a letter or digit.";
    else if (taken.includes(name)) found.run = "There is a run of that name already: choose another.";
    return found;
  }

  async function measure() {
    const mine = asking;
    try {
      const found = await post("api/train/plan", { config: fields.config.input.value, overrides: overrides() });
      if (mine === asking) replace(size, ...described(found));
    } catch (error) {
      if (mine === asking) fail(error);
    }
  }

  function described(
    { parameters, vocab_size: vocabulary, tokens_per_step: each, n_layers, n_heads, d_model, context_length, horizon,
      tokens, flops, memory, disk },
  ) {
    const files = Object.values(disk).reduce((a, b) => a + b, 0);
    const parts = [`${count(n_layers)} layers, ${count(n_heads)} heads, ${count(d_model)} wide`,
      `reads ${count(context_length)} tokens`, `learns from ${count(each)} tokens a step`,
      tokens ? `${short(tokens)} tokens in all` : horizon.minutes ? `${horizon.minutes} minutes` : "",
      flops ? `${short(flops)} floating-point operations` : "", `a step holds ${bytes(memory.peak)}`,
      `${bytes(files)} of files`];
    return [h("b", {}, `${short(parameters.total)} parameters`),
      h("span", {},
        `${vocabulary ? "" : " (the text tells how many characters there are: about a hundred are counted)"} · ${
          parts.filter(Boolean).join(" · ")
        }`)];
  }

  // Minutes, memory and the loss it will end at, from a few real steps on this machine and from finished runs.
  async function rehearse() {
    const mine = asking;
    occupied(tryButton, "Trying a few steps…");
    cost.textContent = "";
    try {
      const { forecasts: { minutes, peak_memory_bytes: memory, final_val_loss: loss }, unsaid } = await post(
        "api/train/rehearse",
        { config: fields.config.input.value, overrides: overrides() },
      );
      if (mine !== asking) return;
      const ends = loss
        ? ["ends at a validation loss of ", h("b", {}, loss.value.toFixed(2)),
          ` (${loss.low.toFixed(2)} to ${loss.high.toFixed(2)}), by ${loss.method}`]
        : [`its final loss: ${Object.values(unsaid).join("; ")}`];
      replace(cost, h("b", {}, duration(60 * minutes.value)),
        ` (${duration(60 * minutes.low)} to ${duration(60 * minutes.high)}) · `, h("b", {}, bytes(memory.value)),
        " of memory · ", ...ends);
    } catch (error) {
      if (mine === asking) fail(error);
    } finally {
      free(tryButton, "What will it cost?");
    }
  }

  function occupied(which, words) {
    busy = true;
    which.textContent = words;
    button.disabled = tryButton.disabled = true;
  }

  function free(which, words) {
    busy = false;
    which.textContent = words;
    button.disabled = tryButton.disabled = Object.keys(problems()).length > 0;
  }

  // ---------------------------------------------------------------- starting

  async function start() {
    if (!options || button.disabled) return;
    occupied(button, "Checking the settings…");
    [problem.textContent, button.title] = ["", "fit --check judges them, in some seconds"];
    try {
      const answer = await post("api/train/start", { config: fields.config.input.value, overrides: overrides(),
        run: fields.run.input.value || null });
      fields.run.input.value = "";
      open(false);
      began(answer.run);
    } catch (error) {
      fail(error);
    } finally {
      free(button, "Start training");
      button.title = "";
    }
  }

  // Each complaint at the field that it is about, the others beneath.
  function fail(error) {
    const rest = String(error.message ?? error).split("; ").filter((said) => {
      const name = Object.keys(fields).find((key) => aboutIt(key, said));
      if (name) mark(fields[name], sentence(said));
      return !name;
    });
    problem.textContent = rest.map(sentence).join(" ");
    size.textContent = "";
  }

  function aboutIt(name, said) {
    const names = { length: ["steps", "minutes"], corpus: ["corpus", "file"], run: ["run", "run name"] }[name]
      ?? [name];
    return names.some((key) =>
      [key, options?.settings[key]?.flag, ...(key === "run" ? ["run.name"] : [])].some((word) =>
        word && new RegExp(`^-*${word.replace(".", "\\.")}\\b`).test(said)
      )
    );
  }

  // ---------------------------------------------------------------- pieces

  function terminal() {
    const words = ["python -m lab fit", `--config configs/${fields.config.input.value}.yaml`];
    for (const [name, value] of Object.entries(overrides())) {
      if (name === "preset") words.push(`--model.config configs/model/${value}.yaml`);
      else if (name === "file") words.push(`--data.corpus text --data.path ${quote(value)}`);
      else words.push(`--${options.settings[name]?.flag ?? name} ${value}`);
    }
    if (fields.run.input.value) words.push(`--run.name ${quote(fields.run.input.value)}`);
    return words.join(" ");
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(command.textContent);
      copyButton.textContent = "Copied";
    } catch {
      copyButton.textContent = "Select it";
    }
    window.setTimeout(() => {
      copyButton.textContent = "Copy";
    }, 1500);
  }
}

function select(change) {
  return h("select", { onchange: change });
}

function choices({ input }, pairs) {
  replace(input, ...pairs.map(([value, text]) => h("option", { value }, text)));
}

function field(label, input, hint = "", unit = null) {
  const id = `lab-start-${label.toLowerCase().replaceAll(" ", "-")}`,
    error = h("small", { class: "lab-field-error", id: `${id}-error` });
  Object.assign(input, { id });
  const root = h("div", { class: "lab-form-field" }, h("label", { for: id, class: "lab-name" }, label),
    h("div", { class: "lab-form-input" }, input, unit), h("small", {}, hint), error);
  return { root, input, unit, error };
}

function mark({ root, input, error }, text = "") {
  error.textContent = text;
  root.classList.toggle("lab-wrong", Boolean(text));
  input.setAttribute("aria-invalid", String(Boolean(text)));
  if (text) input.setAttribute("aria-describedby", error.id);
  else input.removeAttribute("aria-describedby");
}

const plain = (x) => (x > 1e9 || (x > 0 && x < 1e-3) ? x.toExponential(0).replace("e+", "e") : count(x));
const quote = (text) => (/^[\w.@%+=:,/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
