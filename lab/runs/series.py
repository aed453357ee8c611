"""The metrics of a run as columns: NumPy arrays that grow with it, and the arithmetic on curves that readers share.

    columns = Columns.of(run.metrics())
    columns["val/loss"].values, columns.layers("stats/entropy")[0].last

`MetricsHistory` holds rows as they were written; `Columns` holds the same by metric, so that a rule or a picture over
twenty thousand steps takes microseconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lab.runs.metrics_log import RESERVED, MetricsDelta, MetricsHistory

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]


class Series:
    """One metric over the steps at which it has a value: `steps` `[n]`, growing, and `values` `[n]`.

    Both are views that cost nothing. `lost` holds the steps of its nulls: numbers that were not finite.
    """

    def __init__(self, steps: ArrayLike = (), values: ArrayLike = ()) -> None:
        self._steps: Steps = np.asarray(steps, dtype=np.int64)
        self._values: Floats = np.asarray(values, dtype=np.float64)
        self._n = len(self._steps)
        self._room = 0  # how many fit before new arrays are needed; those given may be parts of another's
        self.lost: list[int] = []

    def __len__(self) -> int:
        return self._n

    @property
    def steps(self) -> Steps:
        """Steps, growing."""
        return self._steps[: self._n]

    @property
    def values(self) -> Floats:
        """The values at these steps."""
        return self._values[: self._n]

    @property
    def first(self) -> float | None:
        """The oldest value."""
        return float(self._values[0]) if self._n else None

    @property
    def last(self) -> float | None:
        """The newest value."""
        return float(self._values[self._n - 1]) if self._n else None

    def at(self, step: int) -> float | None:
        """The value of that very step."""
        index = int(np.searchsorted(self.steps, step))
        return float(self.values[index]) if index < self._n and self.steps[index] == step else None

    def as_of(self, step: float) -> float | None:
        """The newest value at or before a step."""
        index = int(np.searchsorted(self.steps, step, side="right"))
        return float(self.values[index - 1]) if index else None

    def near(self, step: float, width: float) -> float | None:
        """The mean within `width` steps before and after a step; None where there is nothing."""
        inside = self.between(step - width, step + width)
        return float(inside.values.mean()) if len(inside) else None

    def between(self, start: float, stop: float = np.inf) -> Series:
        """The part with start <= step <= stop."""
        part = slice(np.searchsorted(self.steps, start), np.searchsorted(self.steps, stop, side="right"))
        return Series(self.steps[part], self.values[part])

    def tail(self, n: int) -> Series:
        """The newest `n` points."""
        begin = max(0, self._n - n)
        return Series(self.steps[begin:], self.values[begin:])

    def thinned(self, most: int) -> Series:
        """At most about `most` points, see `extremes`."""
        chosen = extremes(self.values, most)
        return Series(self.steps[chosen], self.values[chosen])

    def extend(self, steps: Sequence[int], values: Sequence[float | None]) -> None:
        """Add points with growing steps; where the first is of the newest step held, it replaces that value."""
        if self._n and self._steps[self._n - 1] == steps[0]:
            self._n -= 1
        if self.lost and self.lost[-1] == steps[0]:
            self.lost.pop()
        given = np.array(values, dtype=np.float64)  # None becomes NaN
        known = np.isfinite(given)
        if not known.all():
            self.lost += [step for step, is_known in zip(steps, known, strict=True) if not is_known]
        end = self._n + int(known.sum())
        if end > self._room:
            # Twice as much as is needed: appending one by one copies each value twice on average.
            self._room = 2 * end
            self._steps = np.concatenate([self.steps, np.empty(self._room - self._n, np.int64)])
            self._values = np.concatenate([self.values, np.empty(self._room - self._n)])
        self._steps[self._n : end] = np.asarray(steps)[known]
        self._values[self._n : end] = given[known]
        self._n = end

    def drop_beyond(self, step: int) -> None:
        """Forget what was logged after `step`."""
        self._n = int(np.searchsorted(self.steps, step, side="right"))
        self.lost = [lost for lost in self.lost if lost <= step]


_NOTHING = Series()


class Columns:
    """All metrics of a run, `columns[name]` a `Series` each (empty where it was never logged), also `tokens`, `time`
    and `wall`. `step` is the newest step of any row.
    """

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}
        self.step = 0

    @classmethod
    def of(cls, history: MetricsHistory) -> Columns:
        """Those of all rows."""
        found = cls()
        found.apply(MetricsDelta(history.rows))
        return found

    def __getitem__(self, name: str) -> Series:
        return self._series.get(name, _NOTHING)

    def names(self) -> list[str]:
        """The metrics that were logged, sorted."""
        return sorted(self._series.keys() - RESERVED)

    def layers(self, metric: str) -> dict[int, Series]:
        """`stats/entropy.layer0`, … by layer, in their order."""
        start = f"{metric}.layer"
        found = {
            int(name[len(start) :]): series
            for name, series in self._series.items()
            if name.startswith(start) and name[len(start) :].isdecimal()
        }
        return dict(sorted(found.items()))

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows of metrics.jsonl, their steps growing."""
        found: dict[str, tuple[list[int], list[float | None]]] = defaultdict(lambda: ([], []))
        # Neighbours mostly have the same names: turned from rows into columns at once, a third of the time.
        for names, group in groupby(rows, key=tuple):
            table = dict(zip(names, zip(*(row.values() for row in group), strict=True), strict=True))
            self.step = max(self.step, table["step"][-1])
            for name in names:
                if name not in ("step", "rewound_from"):
                    steps, values = found[name]
                    steps += table["step"]
                    values += table[name]
        for name, (steps, values) in found.items():
            self._series.setdefault(name, Series()).extend(steps, values)

    def apply(self, delta: MetricsDelta) -> None:
        """What a `MetricsReader` found new."""
        if delta.reset:
            self._series.clear()
            self.step = 0
        if delta.rewind is not None:
            self.step = min(self.step, delta.rewind)
            for series in self._series.values():
                series.drop_beyond(delta.rewind)
        self.add(delta.rows)


def window_mean(values: ArrayLike, before: int | Steps, after: int | Steps = 0) -> Floats:
    """Each value's mean with those up to `before` places before it and `after` behind it, as far as there are any.

    NaN are left out and stay NaN.
    """
    given = np.asarray(values, dtype=np.float64)
    places, known = np.arange(len(given)), np.isfinite(given)
    if isinstance(before, int) and isinstance(after, int) and not after and known.all():
        # The usual case, by slices: a third of the time, and the same bits.
        sums = np.cumsum(given)
        sums[before + 1 :] -= sums[: -before - 1].copy()
        return sums / np.minimum(places + 1, before + 1)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, given, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    start, stop = np.maximum(places - before, 0), np.minimum(places + after + 1, len(given))
    return np.where(known, (sums[stop] - sums[start]) / np.maximum(counts[stop] - counts[start], 1), np.nan)


def trend(values: ArrayLike) -> Floats:
    """A curve without the noise of single batches: the mean over a window around each value, 2 % of all wide.

    It never reaches back further than a quarter, since the first losses fall so fast that a fixed window would smear
    them. Centred, it does not lag behind; at the end the window loses its right half.
    """
    n = np.size(values)
    half = np.minimum(n // 100, np.arange(n) // 4)
    return window_mean(values, half, half)


def extremes(values: ArrayLike, most: int, first: int = 4_000) -> NDArray[np.intp]:
    """Indices of at most about `most` of the values, for a chart: of each stretch its smallest and its largest.

    So no spike is lost and none is invented. The last stays, and the first `first` (at most a quarter of all): there a
    logarithmic axis has most of its room.
    """
    given = np.asarray(values, dtype=np.float64)
    if len(given) <= most:
        return np.arange(len(given))
    start = min(first, most // 4)
    stretches = np.array_split(np.arange(start, len(given)), (most - start) // 2)
    ends = [(part[np.argmin(given[part])], part[np.argmax(given[part])]) for part in stretches]
    return np.unique(np.concatenate([np.arange(start), np.ravel(ends), [len(given) - 1]]))
