// The text as the model reads it: one chip a token. Hover previews, click locks, Esc unlocks, arrows move.

import { idOf, messageOf, post } from "./lib/client.js";
import { count, h, replace } from "./lib/dom.js";
import { bodyOf, part } from "./lib/panel.js";
import { contentOf, currentText, on, select, state } from "./lib/store.js";
import { markTokens, moveAlong, tokenButton } from "./lib/tokens.js";

/** @param {Element} element */
export function mount(element) {
  const root = part(element, ".lab-panel"), note = h("span", { class: "lab-note" });
  const strip = h("div", { class: "lab-strip", role: "listbox", "aria-label": "tokens of the text" });
  /** @type {HTMLElement[]} */
  let buttons = [];
  let shown = "", asking = 0;
  replace(bodyOf(element), strip, note);
  on(() => void refresh());
  refresh();

  async function refresh() {
    const { run, step } = state.selection;
    if (state.opening) return;
    if (state.failure || !state.info?.model) {
      shown = "";
      return fill([], state.failure ? messageOf(state.failure) : "");
    }
    // Another training under the run's name may have another vocabulary.
    const wanted = JSON.stringify([run, contentOf({ run, step: state.info.steps[0] }), currentText()]);
    if (wanted === shown) return markTokens(buttons);
    shown = wanted;
    const mine = ++asking;
    try {
      const { tokens, context_length: context } = await post("api/tokens", { run, step, text: currentText() });
      if (mine !== asking) return;
      const over = tokens.length - context;
      fill(tokens.slice(0, context),
        `${count(tokens.length)} of ${count(context)} tokens${over > 0 ? `: ${count(over)} too many` : ""}`);
      note.classList.toggle("lab-warn", over > 0);
      // A link may name a token that this text does not have.
      if (state.selection.token !== null && state.selection.token >= tokens.length) select({ token: null });
    } catch (error) {
      if (mine !== asking) return;
      fill([], messageOf(error));
      if (!idOf(error)) shown = ""; // the server was away: the next change asks again
    }
    root.dataset.shown = String(Number(root.dataset.shown ?? 0) + 1);
  }

  /** @param {string[]} tokens @param {string} said */
  function fill(tokens, said) {
    buttons = tokens.map((token, i) =>
      tokenButton(token, i, { title: `token ${i}`, onkeydown: (event) => {
        const to = moveAlong(event, buttons, i);
        if (to !== null) select({ token: to });
      } })
    );
    replace(strip, ...buttons);
    note.textContent = said;
    markTokens(buttons);
  }
}
