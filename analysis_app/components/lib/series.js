// One curve that grows: where it was measured (step, tokens, time) and what, as typed arrays.
//
// The first 262,144 points stand exactly as they came. Beyond that the older three quarters are gathered, 2, 4, 8, …
// neighbours to a point with their mean, their lowest and their highest, so that a spike of one step stays a spike.

const MOST = 1 << 18; // points; 40 bytes each once some were joined, so at most 11 MB a curve
const AXES = ["step", "tokens", "time"];

export class Series {
  constructor(most = MOST) {
    this.most = most;
    this.clear();
  }

  // From plain arrays; what is not given of `tokens` and `time` is the steps again.
  static from(steps, values, { tokens = steps, time = steps } = {}) {
    const found = new Series(Math.max(MOST, steps.length));
    for (let i = 0; i < steps.length; i++) found.push(steps[i], tokens[i], time[i], values[i]);
    return found;
  }

  clear() {
    this.n = 0;
    this._room = 256;
    this._x = Object.fromEntries(AXES.map((name) => [name, new Float64Array(this._room)]));
    this._y = new Float32Array(this._room);
    this._low = this._high = this._joined = null; // only once points were joined
    this._bucket = 2;
    this._smooth = null;
  }

  // A value that is not finite is a gap. A second value of the last step replaces the first.
  push(step, tokens, time, value) {
    const finite = Number.isFinite(value) ? value : NaN;
    if (this.n && step === this._x.step[this.n - 1]) return this._put(this.n - 1, finite);
    if (this.n && step < this._x.step[this.n - 1]) this.rewind(step - 1);
    if (this.n === this.most) this._join();
    if (this.n === this._room) this._grow();
    const i = this.n++;
    this._x.step[i] = step;
    this._x.tokens[i] = tokens ?? NaN;
    this._x.time[i] = time ?? NaN;
    this._put(i, finite);
  }

  // Training went back to `step`: what was measured after it no longer counts.
  rewind(step) {
    const keep = after(this._x.step, this.n, step);
    if (keep === this.n) return;
    this.n = keep;
    this._smooth = null;
  }

  x(name) {
    return this._x[name].subarray(0, this.n);
  }

  get y() {
    return this._y.subarray(0, this.n);
  }

  get low() {
    return (this._low ?? this._y).subarray(0, this.n);
  }

  get high() {
    return (this._high ?? this._y).subarray(0, this.n);
  }

  // Index of the point nearest to `at` on an axis; -1 when there is none.
  nearest(name, at) {
    const x = this._x[name], next = after(x, this.n, at);
    if (next === 0 || next === this.n) return Math.min(next, this.n - 1);
    return at - x[next - 1] <= x[next] - at ? next - 1 : next;
  }

  // [from, to) of the points between two places on an axis, one more on each side so that lines run out of the picture.
  between(name, low, high) {
    const x = this._x[name];
    return [Math.max(0, after(x, this.n, low) - 1), Math.min(this.n, after(x, this.n, high) + 1)];
  }

  // The last value that is a number, as { step, value }; null when there is none.
  last() {
    for (let i = this.n - 1; i >= 0; i--)
      if (!Number.isNaN(this._y[i])) return { step: this._x.step[i], value: this._y[i] };
    return null;
  }

  // The exponential moving average, each value weighing (1 - weight); started without a bias towards 0 (Adam's
  // correction). What was computed stays, only new points are added.
  smoothed(weight) {
    if (!this._smooth || this._smooth.weight !== weight)
      this._smooth = { weight, done: 0, sum: 0, mass: 0, values: new Float32Array(this._room) };
    const kept = this._smooth;
    if (kept.values.length < this._room) kept.values = copy(kept.values, this._room);
    for (let i = kept.done; i < this.n; i++) {
      const y = this._y[i];
      if (!Number.isNaN(y)) {
        const old = this._joined ? weight ** this._joined[i] : weight;
        kept.sum = old * kept.sum + (1 - old) * y;
        kept.mass = old * kept.mass + (1 - old);
      }
      kept.values[i] = Number.isNaN(y) || kept.mass === 0 ? y : kept.sum / kept.mass;
    }
    kept.done = this.n;
    return kept.values.subarray(0, this.n);
  }

  _put(i, value) {
    if (this._smooth && i < this._smooth.done) this._smooth = null;
    this._y[i] = value;
    if (this._low) [this._low[i], this._high[i], this._joined[i]] = [value, value, 1];
  }

  _grow() {
    this._room = Math.min(this.most, 2 * this._room);
    for (const name of AXES) this._x[name] = copy(this._x[name], this._room);
    for (const name of ["_y", "_low", "_high", "_joined"]) if (this[name]) this[name] = copy(this[name], this._room);
  }

  _join() {
    if (!this._low) {
      [this._low, this._high] = [this._y.slice(), this._y.slice()];
      this._joined = new Float32Array(this._room).fill(1);
    }
    const old = Math.floor(0.75 * this.n),
      arrays = [...AXES.map((name) => this._x[name]), this._y, this._low, this._high, this._joined];
    let kept = this._gather(old);
    while (kept > 0.9 * old) {
      this._bucket *= 2;
      kept = this._gather(kept);
    }
    arrays.forEach((array) => array.copyWithin(kept, old, this.n));
    this.n -= old - kept;
    this._smooth = null;
  }

  // Join the first `n` points to some of `_bucket` measurements each; how many points that makes.
  _gather(n) {
    const { _y: y, _low: low, _high: high, _joined: joined } = this;
    let to = 0;
    for (let i = 0; i < n; i++) {
      if (to && joined[to - 1] + joined[i] <= this._bucket) {
        const [a, b] = [joined[to - 1], joined[i]], at = to - 1;
        for (const name of AXES) this._x[name][at] = this._x[name][i];
        // A gap beside a number is no gap.
        if (Number.isNaN(y[at])) [y[at], low[at], high[at]] = [y[i], low[i], high[i]];
        else if (!Number.isNaN(y[i]))
          [y[at], low[at], high[at]] = [(a * y[at] + b * y[i]) / (a + b), Math.min(low[at], low[i]),
            Math.max(high[at], high[i])];
        joined[at] = a + b;
      } else {
        for (const name of AXES) this._x[name][to] = this._x[name][i];
        [y[to], low[to], high[to], joined[to]] = [y[i], low[i], high[i], joined[i]];
        to++;
      }
    }
    return to;
  }
}

// How many of the first `n` of ascending `x` are ≤ `at`.
function after(x, n, at) {
  let low = 0, high = n;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

function copy(array, room) {
  const found = new array.constructor(room);
  found.set(array);
  return found;
}

// What a line of any number of points looks like on pixels: for each column that has points its first, lowest, highest
// and last value, five numbers a column in `found` (the column comes first). Nothing that would be seen is lost: a
// spike of one step keeps its full height. A gap ends a run of columns with a row of NaN.
export function thin(x, y, low, high, from, to, column) {
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
