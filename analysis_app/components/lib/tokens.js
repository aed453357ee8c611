// The tokens of a text as buttons: hover previews, click pins.

import { h, hideTip } from "./dom.js";
import { pin, preview, state } from "./store.js";

/**
 * What previews and pins a token wherever it is shown.
 * @param {number} token
 * @param {(event: MouseEvent) => void} [tell] shows the tooltip
 * @returns {Lab.Attributes}
 */
export const points = (token, tell) => ({
  onmouseenter: (event) => {
    preview({ token });
    tell?.(event);
  },
  onmouseleave: () => {
    preview({ token: null });
    hideTip();
  },
  onclick: () => pin(token),
});

/**
 * @param {string} text
 * @param {number} position
 * @param {Lab.Attributes} attributes
 * @param {(event: MouseEvent) => void} [tell]
 */
export const tokenButton = (text, position, attributes, tell) =>
  h("button", { class: "lab-token", role: "option", ...points(position, tell), ...attributes,
    data: { position, .../** @type {object} */ (attributes.data) } }, text);

/** Marks the pinned token, the previewed one and the one that is read. @param {Iterable<HTMLElement>} buttons */
export function markTokens(buttons) {
  const { selection: { token }, hover } = state;
  [...buttons].forEach((button, i) => {
    button.classList.toggle("lab-chosen", i === token);
    button.classList.toggle("lab-previewed", i === hover.token && i !== token);
    button.classList.toggle("lab-read", i === hover.key);
    button.setAttribute("aria-selected", String(i === token));
    button.tabIndex = i === (token ?? 0) ? 0 : -1;
  });
}

/**
 * The token that a key goes to from `position`, focused; null for another key.
 * @param {KeyboardEvent} event
 * @param {ArrayLike<Element>} buttons
 * @param {number} position
 */
export function moveAlong(event, buttons, position) {
  const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
  if (!by) return null;
  event.preventDefault();
  const to = Math.min(buttons.length - 1, Math.max(0, position + by)), button = buttons[to];
  if (button instanceof HTMLElement) button.focus();
  return to;
}
