// All heads at the frame that the player shows.

import { headGrid } from "./head_grid.js";
import { player } from "./lib/frame_player.js";
import { part } from "./lib/panel.js";

/**
 * A panel of the Attention tab, before one frame at a time.
 * @param {Element} element
 * @param {typeof headGrid | typeof import("./heatmap.js").heatMap} make
 */
export function follow(element, make) {
  const root = part(element, ".lab-panel");
  /** @param {Lab.Frame} frame */
  const drawing = ({ step, view }) => {
    Object.assign(root.dataset, { step, drawn: Number(root.dataset.drawn ?? 0) + 1 });
    return view;
  };
  const made = make(element, { request: player.request, ask: (...wanted) =>
    player.ask(...wanted).then(() => {
      const frame = player.shown;
      return frame && drawing(frame);
    }), numbers: () => player.shown?.view, fixed: true });
  const draw = () => {
    const frame = player.shown;
    if (frame && root.offsetParent && root.dataset.state === "ready") made.show(drawing(frame));
  };
  player.on((what) => {
    if (what === "start") made.refresh();
    if (what === "move" || what === "frames") draw();
  });
  // Seen again after the player went on behind another tab.
  new ResizeObserver(() => root.dataset.step !== String(player.shown?.step) && draw()).observe(root);
}

/** @param {Element} element */
export const mount = (element) => follow(element, headGrid);
