// The chosen head at the frame that the player shows, large.

import { heatMap } from "./heatmap.js";
import { follow } from "./time_grid.js";

/** @param {Element} element */
export const mount = (element) => follow(element, heatMap);
