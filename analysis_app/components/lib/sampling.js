// What a token is drawn from: logits → temperature → top-k → top-p → renormalised, as lab/generation does it.

// `logits` descending. → { raw, chances }: probabilities of the model itself, and of the drawing (0: removed).
export function reshape(logits, temperature, topK, topP) {
  const raw = softmax(logits, 1), chances = temperature === 0 ? greedy(logits.length) : softmax(logits, temperature);
  if (temperature === 0) return { raw, chances };
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

function softmax(logits, temperature) {
  const found = Float64Array.from(logits, (x) => Math.exp((x - logits[0]) / temperature));
  return normalise(found);
}

function greedy(n) {
  const found = new Float64Array(n);
  found[0] = 1;
  return found;
}

function normalise(values) {
  const sum = values.reduce((a, b) => a + b, 0);
  for (let i = 0; i < values.length; i++) values[i] /= sum;
  return values;
}
