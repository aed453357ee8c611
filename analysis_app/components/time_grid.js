// All heads at the film's present frame.

import { headGrid } from "./head_grid.js";
import { ask, onFilm, request, shown } from "./lib/film.js";

// For panels that show one frame's view: `make(element, source)` is one of those of the Attention tab.
export function follow(element, make) {
  const root = element.querySelector(".lab-panel");
  const present = () => {
    root.dataset.step = shown().step;
    root.dataset.drawn = Number(root.dataset.drawn ?? 0) + 1;
    return shown().view;
  };
  const made = make(element, { request, ask: (...wanted) => ask(...wanted).then(present), numbers: () => shown()?.view,
    fixed: true });
  const draw = () => root.offsetParent && root.dataset.state === "ready" && shown() && made.show(present());
  onFilm((what) => {
    if (what === "start") made.refresh();
    if (["move", "frames"].includes(what)) draw();
  });
  // Seen again after the film went on behind another tab.
  new ResizeObserver(() => shown() && root.dataset.step !== String(shown().step) && draw()).observe(root);
}

export const mount = (element) => follow(element, headGrid);
