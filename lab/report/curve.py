"""What there is to see in a loss curve: what the model had learned by when, spikes, and whether it was still falling.

These are descriptions for a reader, of a run that is over; what is a sign of sickness is the doctor's business
(`lab.diagnosis`), and his findings are quoted beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lab.report.record import Record
from lab.runs.series import Series, trend

LEVELS = ("uniform", "unigram", "bigram", "xz")
LEARNED = {
    "uniform": "knows nothing yet: worse than guessing evenly",
    "unigram": "learns how common each token is",
    "bigram": "learns which token follows which",
    "xz": "uses more context than the one token before",
    "": "predicts the text better than `xz -9` compresses it",
}
NEAR = 0.03
"""So close to a baseline (of its value) a curve is said to linger at it."""
SPIKE_SCORE, SPIKE_LEAST, SPIKE_WINDOW = 8.0, 0.03, 50
"""A spike stands out of the steps before by so many of their (robust) standard deviations, and by this share of the
loss: at 8 a quiet run of 100,000 steps has none by chance."""
TAIL = 0.1
"""The last so much of a run is its end."""


@dataclass(frozen=True)
class Phase:
    """From step `start` to `end` the loss was between two baselines; `says` what is learned there, `level` the one it
    went below at the end, None where the run ended first."""

    start: int
    end: int
    says: str
    level: str | None


@dataclass(frozen=True)
class Spike:
    """A step whose loss stood out: its height, the level before, and when it was back there (None: not in this run)."""

    step: int
    height: float
    before: float
    recovered: int | None


@lru_cache(maxsize=16)
def smooth(series: Series) -> Series:
    """The curve without the luck of single batches."""
    return Series(series.steps, trend(series.values)) if len(series) else series


def crossing(series: Series, level: float) -> int | None:
    """The first step from which a (smoothed) curve stays below a level for a while; None if it never does."""
    n = len(series)
    if not n:
        return None
    stretch = min(n, max(3, n // 200))
    below = sliding_window_view(series.values < level, stretch).all(axis=1)
    return int(series.steps[int(np.argmax(below))]) if below.any() else None


def phases(record: Record) -> list[Phase]:
    """The run in stretches between baselines, from what the training loss was below of when."""
    curve = smooth(record.train)
    if not len(curve):
        return []
    known = list(levels(record).items())
    found: list[Phase] = []
    start, end = int(curve.steps[0]), int(curve.steps[-1])
    for name, value in known:
        if (step := crossing(curve, value)) is None:
            return [*found, Phase(start, end, LEARNED[name], None)] if end > start else found
        if step > start:
            found.append(Phase(start, step, LEARNED[name], name))
        start = max(start, step)
    after = LEARNED[""] if known and known[-1][0] == "xz" else "better than all baselines there are"
    return [*found, Phase(start, end, after, None)] if known and end > start else found


def levels(record: Record) -> dict[str, float]:
    """The baselines that mark a step in learning: each a few per cent below the ones before.

    Of a made corpus all tokens may be equally common, and to know how common they are is then no achievement.
    """
    found: dict[str, float] = {}
    for name in LEVELS:
        value = record.baselines.get(name)
        if value is not None and all(value < (1 - NEAR) * other for other in found.values()):
            found[name] = value
    return found


def lingering(record: Record, name: str) -> int:
    """For how many steps the loss stood within 3 % of a baseline."""
    curve = smooth(record.train)
    level = levels(record).get(name)
    if level is None or len(curve) < 2:
        return 0
    near = np.abs(curve.values[:-1] - level) < NEAR * level
    return int(np.diff(curve.steps)[near].sum())


@lru_cache(maxsize=16)
def spikes(series: Series) -> list[Spike]:
    """Steps that stand out above the fifty before them, neighbours together, the largest first."""
    n, window = len(series), SPIKE_WINDOW
    if n < 2 * window:
        return []
    values = series.values
    before = np.median(sliding_window_view(values, window), axis=1)[:-1]  # entry i is for point i + window
    above = values[window:] - before
    usual = np.concatenate([np.abs(values[:window] - np.median(values[:window])), np.abs(above)])
    spread = 1.4826 * np.median(sliding_window_view(usual, window), axis=1)[:-1]
    out = np.flatnonzero((above > SPIKE_SCORE * spread) & (above > SPIKE_LEAST * np.abs(before)))
    found: list[Spike] = []
    for group in np.split(out, np.flatnonzero(np.diff(out) > window) + 1) if len(out) else []:
        peak = group[np.argmax(above[group])] + window
        level, allowed = float(before[group[0]]), float(before[group[0]] + 2 * spread[group[0]])
        later = np.flatnonzero(values[peak + 1 :] <= allowed)
        recovered = int(series.steps[peak + 1 + later[0]]) if len(later) else None
        found.append(Spike(int(series.steps[peak]), float(values[peak]), level, recovered))
    return sorted(found, key=lambda spike: spike.before - spike.height)


def tail_slope(series: Series) -> tuple[float, float] | None:
    """What the end of a curve (its last tenth) brought: the change over it by a straight line, and the standard error
    of that; None below 20 points."""
    part = (
        series.between(series.steps[-1] - TAIL * (series.steps[-1] - series.steps[0]), np.inf)
        if len(series)
        else series
    )
    if len(part) < 20:
        return None
    x = part.steps - part.steps.mean()
    slope = float((x * part.values).sum() / (x * x).sum())
    rest = part.values - part.values.mean() - slope * x
    error = float(np.sqrt((rest * rest).sum() / (len(part) - 2) / (x * x).sum()))
    span = float(part.steps[-1] - part.steps[0])
    return slope * span, error * span


def way_down(series: Series, share: float) -> int | None:
    """The step at which such a share of all that a (smoothed) curve fell was done."""
    curve = smooth(series)
    if len(curve) < 3 or not curve.values[0] > curve.values.min():
        return None
    first, lowest = float(curve.values[0]), float(curve.values.min())
    return crossing(curve, first - share * (first - lowest))


def warm_up_and_decay(lr: Series) -> tuple[int, int] | None:
    """The step at which the learning rate reached its peak, and the last one at the peak; None without a rate."""
    if not len(lr) or not lr.values.max() > 0:
        return None
    at_peak = np.flatnonzero(lr.values >= 0.999 * lr.values.max())
    return int(lr.steps[at_peak[0]]), int(lr.steps[at_peak[-1]])
