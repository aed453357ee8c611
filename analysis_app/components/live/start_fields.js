// The fields of the form that starts a run: what they ask for, what is wrong with it, what it is on the command line.

import { count, h, replace } from "../lib/dom.js";

const OWN_FILE = "file:"; // marks a text of one's own among the corpora
const RUN_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/**
 * @template {HTMLInputElement | HTMLSelectElement} Input
 * @param {string} label
 * @param {Input} input
 * @param {string} [hint]
 * @param {HTMLElement | null} [unit]
 */
function field(label, input, hint = "", unit = null) {
  input.id = `lab-start-${label.toLowerCase().replaceAll(" ", "-")}`;
  const error = h("small", { class: "lab-field-error", id: `${input.id}-error` });
  const root = h("div", { class: "lab-form-field" }, h("label", { for: input.id, class: "lab-name" }, label),
    h("div", { class: "lab-form-input" }, input, unit), h("small", {}, hint), error);
  return { root, input, error };
}

/** @typedef {[value: string, text: string]} Choice */

/** @param {HTMLSelectElement} select @param {Choice[]} choices */
const offer = (select, choices) => replace(select, ...choices.map(([value, text]) => h("option", { value }, text)));

export class StartFields {
  /** @type {Lab.StartOptions | null} */
  #options = null;
  #unit;

  /** @param {() => void} changed */
  constructor(changed) {
    const select = () => h("select", { onchange: changed });
    /** @param {Lab.Attributes} attributes */
    const number = (attributes) => h("input", { type: "number", min: 0, oninput: changed, ...attributes });
    this.#unit = h("select", { "aria-label": "unit of the length", onchange: changed },
      ...["steps", "minutes"].map((unit) => h("option", { value: unit }, unit)));
    const config = h("select", { onchange: () => {
      this.configure();
      changed();
    } });
    this.all = {
      config: field("Configuration", config),
      preset: field("Model", select()),
      corpus: field("Text", select(), "or put a file of your own into the data folder"),
      length: field("Length", number({ step: "any" }), "", this.#unit),
      batch_size: field("Batch", number({ min: 1 }), "sequences at a time"),
      lr: field("Learning rate", number({ step: "any" }), "at its peak"),
      seed: field("Seed", number({}), "of weights and chance"),
      run: field("Name",
        h("input", { type: "text", maxlength: 100, spellcheck: "false", autocomplete: "off",
          placeholder: "the date and two words", oninput: changed })),
    };
    this.roots = Object.values(this.all).map(({ root }) => root);
  }

  /** @param {Lab.StartOptions} options */
  offer(options) {
    const { config, preset } = this.all, { configurations, presets } = options;
    this.#options = options;
    offer(config.input, configurations.map(({ name }) => asNamed(name)));
    offer(preset.input, [["", "as configured"], ...presets.map(withSize)]);
    if (configurations.some(({ name }) => name === "quickstart")) config.input.value = "quickstart";
    this.configure();
  }

  /** The configuration that is chosen. */
  get configuration() {
    return this.#options?.configurations.find(({ name }) => name === this.all.config.input.value);
  }

  /** Another configuration: its own values stand in the empty fields. */
  configure() {
    const { corpus: { input: corpus }, length: { input: length }, batch_size: batch, lr, seed } = this.all;
    const { data = {}, model = {}, horizon = {}, seed_everything } = this.configuration?.settings ?? {};
    const { settings = {}, files = [] } = this.#options ?? {}, chosen = corpus.value;
    const corpora = (settings.corpus?.choices ?? []).filter((name) => name !== "text");
    /** @type {Choice[]} */
    const texts = [["", `as configured (${data.corpus ?? "python"})`], ...corpora.map(asNamed), ...files.map(ownFile)];
    offer(corpus, texts);
    if (texts.some(([value]) => value === chosen)) corpus.value = chosen;
    const unit = horizon.steps ? "steps" : horizon.minutes ? "minutes" : null;
    if (!length.value) this.#unit.value = unit ?? "steps";
    length.placeholder = unit && unit === this.#unit.value ? String(horizon[unit]) : "as configured";
    batch.input.placeholder = String(data.batch_size ?? "16");
    lr.input.placeholder = String(model.optimizer?.lr ?? "as configured");
    seed.input.placeholder = String(seed_everything ?? "1337");
  }

  /** What differs from the configuration, by the server's names. */
  overrides() {
    const { preset, corpus: { input: corpus }, length, batch_size: batch, lr, seed } = this.all;
    /** @type {Record<string, string | number>} */
    const found = {};
    if (preset.input.value) found.preset = preset.input.value;
    for (const [name, { input }] of Object.entries({ batch_size: batch, lr, seed, [this.#unit.value]: length }))
      if (input.value !== "") found[name] = input.valueAsNumber;
    if (corpus.value.startsWith(OWN_FILE)) found.file = corpus.value.slice(OWN_FILE.length);
    else if (corpus.value) found.corpus = corpus.value;
    return found;
  }

  // ---------------------------------------------------------------- what is wrong

  /**
   * What can be known here, a sentence a field. The rest is judged by the server.
   * @param {string[]} taken names of runs
   */
  problems(taken) {
    const { length, batch_size: batch, lr, seed, run: { input: { value: name } } } = this.all;
    const { settings = {} } = this.#options ?? {};
    /** @type {Record<string, string>} */
    const found = {};
    for (const [key, { input }] of Object.entries({ batch_size: batch, lr, seed, length })) {
      const problem = problemOf(input, settings[key === "length" ? this.#unit.value : key]);
      if (problem) found[key] = problem;
    }
    if (name === "last") found.run = "“last” stands for the newest run: choose another name.";
    else if (name && !RUN_NAME.test(name))
      found.run = "Letters, digits, dot, _ and - are allowed, the first a letter or digit.";
    else if (taken.includes(name)) found.run = "There is a run of that name already: choose another.";
    return found;
  }

  /** Says what is wrong at each field; of the others, nothing. @param {Record<string, string>} problems */
  mark(problems) {
    for (const [name, { root, input, error }] of Object.entries(this.all)) {
      const text = error.textContent = problems[name] ?? "";
      root.classList.toggle("lab-wrong", Boolean(text));
      input.setAttribute("aria-invalid", String(Boolean(text)));
      if (text) input.setAttribute("aria-describedby", error.id);
      else input.removeAttribute("aria-describedby");
    }
  }

  /** The field that a complaint of the server is about. @param {string} complaint */
  about(complaint) {
    /** @type {Record<string, string[]>} */
    const names = { length: ["steps", "minutes"], corpus: ["corpus", "file"], run: ["run", "run name", "run.name"] };
    return Object.keys(this.all).find((field) =>
      (names[field] ?? [field]).flatMap((name) => [name, this.#options?.settings[name]?.flag ?? name]).some((word) =>
        new RegExp(`^-*${word.replace(".", "\\.")}\\b`).test(complaint)
      )
    );
  }

  /** The same for a terminal. */
  command() {
    const { config, run } = this.all, words = ["python -m lab fit", `--config ${config.input.value}`];
    for (const [name, value] of Object.entries(this.overrides())) {
      if (name === "preset") words.push(`--model.config model/${value}`);
      else if (name === "file") words.push(`--data.corpus text --data.path ${quote(String(value))}`);
      else words.push(`--${this.#options?.settings[name]?.flag ?? name} ${value}`);
    }
    if (run.input.value) words.push(`--run.name ${quote(run.input.value)}`);
    return words.join(" ");
  }
}

/** @param {HTMLInputElement} input @param {Lab.Setting | undefined} setting */
function problemOf(input, setting) {
  if (input.value === "" || !setting) return input.validity.badInput ? "That is not a number." : null;
  const { kind, least, most } = setting, value = input.valueAsNumber, whole = kind === "int";
  if (value >= least && value <= most && (!whole || Number.isInteger(value))) return null;
  return `Give ${whole ? "a whole number" : "a number"} from ${plain(least)} to ${plain(most)}.`;
}

/** @param {string} name @returns {Choice} */
const asNamed = (name) => [name, name];
/** @param {Lab.StartOptions["presets"][number]} preset @returns {Choice} */
const withSize = ({ name, n_layers, d_model }) => [name, `${name}: ${n_layers} layers, ${d_model} wide`];
/** @param {string} name @returns {Choice} */
const ownFile = (name) => [`${OWN_FILE}${name}`, `own file: ${name}`];
/** @param {number} x */
const plain = (x) => (x > 1e9 || (x > 0 && x < 1e-3) ? x.toExponential(0).replace("e+", "e") : count(x));
/** @param {string} text */
const quote = (text) => (/^[\w.@%+=:,/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
