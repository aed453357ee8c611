"""What a loss curve shows: what the model had learned by when, and whether it was still falling at the end.

These are descriptions. Whether something is wrong with a curve is decided by `lab.diagnosis` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lab.diagnosis.stability import Spike, spikes
from lab.report.run_record import RunRecord
from lab.runs.series import Series, trend

LEARNED = {
    "uniform": "knows nothing yet: worse than guessing evenly",
    "unigram": "learns how common each token is",
    "bigram": "learns which token follows which",
    "xz": "uses more context than the one token before",
    "xz_trained": "predicts the text better than `xz -9` packs it alone",
}
BELOW = {
    "xz": LEARNED["xz_trained"],
    "xz_trained": "predicts the text better than `xz -9` packs it behind training text",
}
"""What a model does below the lowest of the baselines."""
TAIL = 0.1  # the last part of a run, as a share
SURE = 2.0  # standard errors from 0 at which a slope counts as one


@dataclass(frozen=True)
class Phase:
    """From step `start` to `end` the loss was between two baselines; `learned` is what the model learns there, `level`
    the baseline it went below at the end, None where the run ended first."""

    start: int
    end: int
    learned: str
    level: str | None


@lru_cache(maxsize=16)
def smooth(series: Series) -> Series:
    """The curve without the noise of single batches."""
    return Series(series.steps, trend(series.values))


def crossing(series: Series, level: float) -> int | None:
    """The first step from which a (smooth) curve stays below a level for 0.5 % of its points; None if it never does."""
    n = len(series)
    if not n:
        return None
    stretch = min(n, max(3, n // 200))
    below = sliding_window_view(series.values < level, stretch).all(axis=1)
    return int(series.steps[int(np.argmax(below))]) if below.any() else None


def phases(record: RunRecord) -> list[Phase]:
    """The run in stretches, from one baseline that the training loss crossed to the next."""
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
    after = BELOW.get(known[-1][0], "predicts better than all known baselines") if known else ""
    return [*found, Phase(start, end, after, None)] if known and end > start else found


def levels(record: RunRecord) -> dict[str, float]:
    """The baselines that mark a step in learning: each clearly below the ones before.

    In a made corpus all tokens may be equally common; then knowing how common they are is no step.
    """
    found: dict[str, float] = {}
    for name in LEARNED:
        value, apart = record.baselines.get(name), 1 - record.limits.baselines_apart
        if value is not None and all(value < apart * other for other in found.values()):
            found[name] = value
    return found


def crossing_of(record: RunRecord, name: str) -> int | None:
    """When the training loss went below a baseline."""
    level = levels(record).get(name)
    return None if level is None else crossing(smooth(record.train), level)


def steps_near(record: RunRecord, name: str) -> int:
    """For how many steps the training loss was near a baseline (as a plateau is defined in `lab.diagnosis`)."""
    curve, level = smooth(record.train), levels(record).get(name)
    if level is None or len(curve) < 2:
        return 0
    near = np.abs(curve.values[:-1] / level - 1) < record.limits.plateau_near
    return int(np.diff(curve.steps)[near].sum())


def loss_spikes(record: RunRecord) -> list[Spike]:
    """The spikes of the training loss as `lab.diagnosis` defines them, the highest rise first."""
    return sorted(spikes(record.train, record.limits), key=lambda spike: spike.before - spike.top)


def tail_slope(series: Series) -> tuple[float, float] | None:
    """The change over the last tenth of a curve by a straight line, and its standard error; None below 20 points."""
    if not len(series):
        return None
    part = series.between(series.steps[-1] - TAIL * (series.steps[-1] - series.steps[0]))
    if len(part) < 20:
        return None
    x = part.steps - part.steps.mean()
    slope = float((x * part.values).sum() / (x * x).sum())
    rest = part.values - part.values.mean() - slope * x
    error = float(np.sqrt((rest * rest).sum() / (len(part) - 2) / (x * x).sum()))
    span = float(part.steps[-1] - part.steps[0])
    return slope * span, error * span


def way_down(series: Series, share: float) -> int | None:
    """The step by which that share of the whole fall of a curve was done."""
    curve = smooth(series)
    if len(curve) < 3 or not curve.values[0] > curve.values.min():
        return None
    first, lowest = float(curve.values[0]), float(curve.values.min())
    return crossing(curve, first - share * (first - lowest))


def warm_up_and_decay(lr: Series) -> tuple[int, int] | None:
    """The first and the last step at the peak of the learning rate; None without a rate."""
    if not len(lr) or not lr.values.max() > 0:
        return None
    at_peak = np.flatnonzero(lr.values >= 0.999 * lr.values.max())
    return int(lr.steps[at_peak[0]]), int(lr.steps[at_peak[-1]])
