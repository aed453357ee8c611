// Attention patterns as they travel: one byte each in square-root steps, [layer, head, query, key].

// The bytes of one head, [query, key] row by row.
export function head(view, layer, index) {
  const [, heads, n] = view.patterns.shape;
  const start = (layer * heads + index) * n * n;
  return view.patterns.data.subarray(start, start + n * n);
}

// The mean over the heads of a layer, in the same bytes.
export function average(view, layer) {
  const [, heads, n] = view.patterns.shape, sums = new Float32Array(n * n), found = new Uint8Array(n * n);
  for (let i = 0; i < heads; i++)
    head(view, layer, i).forEach((byte, at) => {
      sums[at] += byte * byte;
    });
  for (let at = 0; at < sums.length; at++) found[at] = Math.round(Math.sqrt(sums[at] / heads));
  return found;
}

export const probability = (byte) => (byte / 255) ** 2;

export const sameTokens = (a, b) =>
  a.source.ids.length === b.source.ids.length && a.source.ids.every((id, i) => id === b.source.ids[i]);
