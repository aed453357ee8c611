// What a token is drawn from: logits → temperature → top-k → top-p → renormalised, as lab/generation does it.

/**
 * Probabilities of the model itself, and of the drawing (0: removed).
 * @param {ArrayLike<number>} logits descending
 * @param {number} temperature
 * @param {number} topK 0: all
 * @param {number} topP
 */
export function reshape(logits, temperature, topK, topP) {
  const raw = softmax(logits, 1);
  if (temperature === 0) return { raw, chances: Float64Array.from(raw, (_, i) => (i ? 0 : 1)) };
  const chances = softmax(logits, temperature);
  if (topK) {
    // All that tie with the k-th stay.
    const edge = logits[Math.min(topK, logits.length) - 1];
    for (let i = 0; i < chances.length; i++) if (logits[i] < edge) chances[i] = 0;
    normalise(chances);
  }
  if (topP && topP < 1) {
    let before = 0;
    for (let i = 0; i < chances.length; i++) {
      const p = chances[i];
      if (before >= topP) chances[i] = 0;
      before += p;
    }
    normalise(chances);
  }
  return { raw, chances };
}

/** @param {ArrayLike<number>} logits @param {number} temperature */
const softmax = (logits, temperature) =>
  normalise(Float64Array.from(logits, (x) => Math.exp((x - logits[0]) / temperature)));

/** @param {Float64Array} values */
function normalise(values) {
  const sum = values.reduce((a, b) => a + b, 0);
  for (let i = 0; i < values.length; i++) values[i] /= sum;
  return values;
}
