// One curve that grows: where it was measured (step, tokens, time) and what, as typed arrays.
//
// The first 262,144 points stand exactly as they came. Beyond that the older three quarters are gathered, 2, 4, 8, …
// neighbours to a point with their mean, their lowest and their highest, so that a spike of one step stays a spike.

const MOST = 1 << 18; // points; 40 bytes each once some were joined, so at most 11 MB a curve
/** @type {Lab.Axis[]} */
const AXES = ["step", "tokens", "time"];

export class Series {
  n = 0;
  #room = 256;
  #x = { step: new Float64Array(256), tokens: new Float64Array(256), time: new Float64Array(256) };
  #y = new Float32Array(256);
  /** Once points were joined: their extremes, and of how many measurements each is the mean. */
  #joined = /** @type {Record<"low" | "high" | "count", Float32Array> | null} */ (null);
  #bucket = 2;
  /** @type {{ weight: number, done: number, sum: number, mass: number, values: Float32Array } | null} */
  #smooth = null;

  constructor(most = MOST) {
    this.most = most;
  }

  /**
   * From plain arrays; what is not given of `tokens` and `time` is the steps again.
   * @param {ArrayLike<number>} steps
   * @param {ArrayLike<number>} values
   * @param {{ tokens?: ArrayLike<number>, time?: ArrayLike<number> }} [others]
   */
  static from(steps, values, { tokens = steps, time = steps } = {}) {
    const found = new Series(Math.max(MOST, steps.length));
    for (let i = 0; i < steps.length; i++) found.push(steps[i], tokens[i], time[i], values[i]);
    return found;
  }

  /**
   * A value that is not finite is a gap. A second value of the last step replaces the first.
   * @param {number} step
   * @param {number | null | undefined} tokens
   * @param {number | null | undefined} time
   * @param {number} value
   */
  push(step, tokens, time, value) {
    const x = this.#x, finite = Number.isFinite(value) ? value : NaN;
    if (this.n && step === x.step[this.n - 1]) return this.#put(this.n - 1, finite);
    if (this.n && step < x.step[this.n - 1]) this.rewind(step - 1);
    if (this.n === this.most) this.#join();
    if (this.n === this.#room) this.#grow();
    const i = this.n++;
    x.step[i] = step;
    x.tokens[i] = tokens ?? NaN;
    x.time[i] = time ?? NaN;
    this.#put(i, finite);
  }

  /** Training went back to `step`: what was measured after it no longer counts. @param {number} step */
  rewind(step) {
    const keep = after(this.#x.step, this.n, step);
    if (keep === this.n) return;
    this.n = keep;
    this.#smooth = null;
  }

  /** @param {Lab.Axis} name */
  x(name) {
    return this.#x[name].subarray(0, this.n);
  }

  get y() {
    return this.#y.subarray(0, this.n);
  }

  get low() {
    return (this.#joined?.low ?? this.#y).subarray(0, this.n);
  }

  get high() {
    return (this.#joined?.high ?? this.#y).subarray(0, this.n);
  }

  /** Index of the point nearest to `at` on an axis; -1 when there is none. @param {Lab.Axis} name @param {number} at */
  nearest(name, at) {
    const x = this.#x[name], next = after(x, this.n, at);
    if (next === 0 || next === this.n) return Math.min(next, this.n - 1);
    return at - x[next - 1] <= x[next] - at ? next - 1 : next;
  }

  /**
   * [from, to) of the points between two places on an axis, one more on each side so that lines run out of the picture.
   * @param {Lab.Axis} name
   * @param {number} low
   * @param {number} high
   */
  between(name, low, high) {
    const x = this.#x[name];
    return [Math.max(0, after(x, this.n, low) - 1), Math.min(this.n, after(x, this.n, high) + 1)];
  }

  /** Index of the last value that is a number; -1 when there is none. */
  get lastIndex() {
    let i = this.n - 1;
    while (i >= 0 && Number.isNaN(this.#y[i])) i--;
    return i;
  }

  last() {
    const i = this.lastIndex;
    return i < 0 ? null : { step: this.#x.step[i], value: this.#y[i] };
  }

  /**
   * The exponential moving average, each value weighing (1 - weight); started without a bias towards 0 (Adam's
   * correction). What was computed stays, only new points are added.
   * @param {number} weight
   */
  smoothed(weight) {
    if (this.#smooth?.weight !== weight)
      this.#smooth = { weight, done: 0, sum: 0, mass: 0, values: new Float32Array(this.#room) };
    const kept = this.#smooth;
    if (kept.values.length < this.#room) kept.values = copied(kept.values, new Float32Array(this.#room));
    for (let i = kept.done; i < this.n; i++) {
      const y = this.#y[i];
      if (!Number.isNaN(y)) {
        const old = this.#joined ? weight ** this.#joined.count[i] : weight;
        kept.sum = old * kept.sum + (1 - old) * y;
        kept.mass = old * kept.mass + (1 - old);
      }
      kept.values[i] = Number.isNaN(y) || kept.mass === 0 ? y : kept.sum / kept.mass;
    }
    kept.done = this.n;
    return kept.values.subarray(0, this.n);
  }

  /** @param {number} i @param {number} value */
  #put(i, value) {
    if (this.#smooth && i < this.#smooth.done) this.#smooth = null;
    this.#y[i] = value;
    if (this.#joined) [this.#joined.low[i], this.#joined.high[i], this.#joined.count[i]] = [value, value, 1];
  }

  #grow() {
    this.#room = Math.min(this.most, 2 * this.#room);
    for (const name of AXES) this.#x[name] = copied(this.#x[name], new Float64Array(this.#room));
    this.#y = copied(this.#y, new Float32Array(this.#room));
  }

  #join() {
    this.#joined ??= { low: this.#y.slice(), high: this.#y.slice(), count: new Float32Array(this.#room).fill(1) };
    const old = Math.floor(0.75 * this.n);
    let kept = this.#gather(old, this.#joined);
    while (kept > 0.9 * old) {
      this.#bucket *= 2;
      kept = this.#gather(kept, this.#joined);
    }
    for (const array of [...Object.values(this.#x), this.#y, ...Object.values(this.#joined)])
      array.copyWithin(kept, old, this.n);
    this.n -= old - kept;
    this.#smooth = null;
  }

  /**
   * Join the first `n` points to some of `#bucket` measurements each; how many points that makes.
   * @param {number} n
   * @param {Record<"low" | "high" | "count", Float32Array>} joined
   */
  #gather(n, { low, high, count }) {
    const y = this.#y;
    let to = 0;
    for (let i = 0; i < n; i++) {
      if (to && count[to - 1] + count[i] <= this.#bucket) {
        const at = to - 1, [a, b] = [count[at], count[i]];
        for (const name of AXES) this.#x[name][at] = this.#x[name][i];
        // A gap beside a number is no gap.
        if (Number.isNaN(y[at])) [y[at], low[at], high[at]] = [y[i], low[i], high[i]];
        else if (!Number.isNaN(y[i])) {
          y[at] = (a * y[at] + b * y[i]) / (a + b);
          [low[at], high[at]] = [Math.min(low[at], low[i]), Math.max(high[at], high[i])];
        }
        count[at] = a + b;
      } else {
        for (const name of AXES) this.#x[name][to] = this.#x[name][i];
        [y[to], low[to], high[to], count[to]] = [y[i], low[i], high[i], count[i]];
        to++;
      }
    }
    return to;
  }
}

/**
 * How many of the first `n` of ascending `x` are ≤ `at`.
 * @param {Float64Array} x
 * @param {number} n
 * @param {number} at
 */
function after(x, n, at) {
  let low = 0, high = n;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** @template {Float32Array | Float64Array} Data @param {Data} from @param {Data} to */
function copied(from, to) {
  to.set(from);
  return to;
}

/**
 * A curve as the server sends it. `each`: what stands for a token on the axis of tokens, such as its FLOPs.
 * @param {Lab.CurveColumns} curve
 */
export const seriesOf = ({ step, tokens, minutes, value }, each = 1) =>
  Series.from(step.data, value.data, { tokens: Float64Array.from(tokens.data, (n) => n * each),
    time: Float64Array.from(minutes.data, (m) => 60 * m) });

/**
 * What a line of any number of points looks like on pixels: for each column that has points its first, lowest, highest
 * and last value, five numbers a column (the column comes first). Nothing that would be seen is lost: a spike of one
 * step keeps its full height. A gap ends a run of columns with a row of NaN.
 * @param {Float64Array} x
 * @param {Float32Array} y
 * @param {Float32Array} low
 * @param {Float32Array} high
 * @param {number} from
 * @param {number} to
 * @param {(x: number) => number} column
 */
export function thin(x, y, low, high, from, to, column) {
  /** @type {number[]} */
  const found = [];
  let now = -1, first = 0, least = 0, most = 0, last = 0, open = false;
  const close = () => {
    if (open) found.push(now, first, least, most, last);
    open = false;
  };
  for (let i = from; i < to; i++) {
    if (Number.isNaN(y[i]) || Number.isNaN(x[i])) {
      close();
      if (found.length && !Number.isNaN(found[found.length - 1])) found.push(NaN, NaN, NaN, NaN, NaN);
      continue;
    }
    const at = column(x[i]);
    if (!open || Math.floor(at) !== Math.floor(now)) {
      close();
      [now, first, least, most, open] = [at, y[i], low[i], high[i], true];
    } else {
      if (low[i] < least) least = low[i];
      if (high[i] > most) most = high[i];
    }
    last = y[i];
  }
  close();
  return found;
}
