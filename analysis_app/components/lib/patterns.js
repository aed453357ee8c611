// Attention patterns as they travel: one byte each in square-root steps, [layer, head, query, key].

/** @typedef {Pick<Lab.AttentionView, "patterns">} Patterned */

/** One head's bytes, [query, key] row by row. @param {Patterned} view @param {number} layer @param {number} index */
export function head(view, layer, index) {
  const [, heads, n] = view.patterns.shape;
  const start = (layer * heads + index) * n * n;
  return view.patterns.data.subarray(start, start + n * n);
}

/** The mean over the heads of a layer, in the same bytes. @param {Patterned} view @param {number} layer */
export function average(view, layer) {
  const [, heads, n] = view.patterns.shape, sums = new Float32Array(n * n), found = new Uint8Array(n * n);
  for (let i = 0; i < heads; i++)
    head(view, layer, i).forEach((byte, at) => {
      sums[at] += byte * byte;
    });
  for (let at = 0; at < sums.length; at++) found[at] = Math.round(Math.sqrt(sums[at] / heads));
  return found;
}

/** @param {number} byte */
export const probability = (byte) => (byte / 255) ** 2;

/** @param {Pick<Lab.AttentionView, "source">} a @param {Pick<Lab.AttentionView, "source">} b */
export const sameTokens = (a, b) =>
  a.source.ids.length === b.source.ids.length && a.source.ids.every((id, i) => id === b.source.ids[i]);
