// The text as the model reads it: one chip a token. Hover previews, click locks, Esc unlocks, arrows move.

import { post } from "./lib/client.js";
import { count, h, replace } from "./lib/dom.js";
import { bodyOf } from "./lib/panel.js";
import { currentText, on, preview, select, state } from "./lib/store.js";

export function mount(element) {
  const body = bodyOf(element), root = element.querySelector(".lab-panel");
  const strip = h("div", { class: "lab-strip", role: "listbox", "aria-label": "tokens of the text" }),
    note = h("span", { class: "lab-note" });
  replace(body, strip, note);
  let shown = null, asking = 0;
  on(() => refresh());
  refresh();

  async function refresh() {
    const { run, step } = state.selection;
    if (!state.info?.model) {
      shown = null;
      replace(strip);
      note.textContent = "";
      return;
    }
    const wanted = JSON.stringify([run, currentText()]);
    if (wanted === shown) return mark();
    shown = wanted;
    const mine = ++asking;
    try {
      const { tokens, context_length: context } = await post("api/tokens", { run, step, text: currentText() });
      if (mine !== asking) return;
      fill(tokens.slice(0, context), tokens.length, context);
      // A link may name a token that this text does not have.
      if (state.selection.token !== null && state.selection.token >= tokens.length) select({ token: null });
    } catch (error) {
      if (mine !== asking) return;
      replace(strip);
      note.textContent = error.message;
    }
    root.dataset.shown = Number(root.dataset.shown ?? 0) + 1;
  }

  function fill(tokens, n, context) {
    replace(strip, ...tokens.map((token, position) =>
      h("button", {
        class: "lab-token",
        role: "option",
        data: { position },
        title: `token ${position}`,
        onmouseenter: () => preview({ token: position }),
        onmouseleave: () => preview({ token: null }),
        onclick: () => select({ token: state.selection.token === position ? null : position }),
        onkeydown: move,
      }, token)
    ));
    const over = n > context ? `: ${count(n - context)} too many` : "";
    note.textContent = `${count(n)} of ${count(context)} tokens${over}`;
    note.classList.toggle("lab-warn", n > context);
    mark();
  }

  function move(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!step) return;
    event.preventDefault();
    const last = strip.children.length - 1, from = Number(event.target.dataset.position);
    const to = Math.min(last, Math.max(0, from + step));
    select({ token: to });
    strip.children[to].focus();
  }

  function mark() {
    const { token } = state.selection;
    [...strip.children].forEach((chip, position) => {
      chip.classList.toggle("lab-chosen", position === token);
      chip.classList.toggle("lab-previewed", position === state.hover.token && position !== token);
      chip.classList.toggle("lab-read", position === state.hover.key);
      chip.setAttribute("aria-selected", String(position === token));
      chip.tabIndex = position === (token ?? 0) ? 0 : -1;
    });
  }
}
