"""Losses of several runs at the farthest point of training that all of them reached."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from lab.runs import metrics
from lab.runs.metrics_log import MetricsHistory

LOSSES = (
    *(metrics.TRAIN_LOSS, metrics.VAL_LOSS, metrics.VAL_BITS_PER_BYTE),
    *(metrics.VAL_SUBSET_LOSS, metrics.VAL_SUBSET_BITS_PER_BYTE),
)
PER_TOKEN = (metrics.TRAIN_LOSS, metrics.VAL_LOSS, metrics.VAL_SUBSET_LOSS)
WINDOW = 0.1  # of training so far: the stretch over which a metric of single batches is averaged

Axis = Literal["step", "tokens", "time"]


@dataclass(frozen=True)
class AlignedLosses:
    """Losses of several runs at the farthest point of `axis` that all of them reached, `at`.

    `at` is None if one has no rows. `values[run][metric]` is the last measurement at or before that point; of single
    batches (`train/…`) the mean over the last tenth before it, as single batches differ much. None where there is
    none.
    """

    axis: Axis
    at: float | None
    values: dict[str, dict[str, float | None]]


def compare_losses(
    histories: Mapping[str, MetricsHistory], axis: Axis = "tokens", metrics: Sequence[str] = LOSSES
) -> AlignedLosses:
    """Compare runs (name → metrics) where they are comparable: after as many tokens (steps, seconds) each."""
    ends = [max((row[axis] for row in h.rows if row.get(axis) is not None), default=None) for h in histories.values()]
    known = [end for end in ends if end is not None]
    at = min(known) if known and len(known) == len(ends) else None
    values = {
        run: {metric: None if at is None else _value_at(history, metric, axis, at) for metric in metrics}
        for run, history in histories.items()
    }
    return AlignedLosses(axis, at, values)


def _value_at(history: MetricsHistory, metric: str, axis: Axis, at: float) -> float | None:
    rows = [row for row in history.rows if row.get(metric) is not None and row.get(axis) is not None]
    index = bisect_right([row[axis] for row in rows], at)
    if not index:
        return None
    if not metric.startswith("train/"):
        return float(rows[index - 1][metric])
    start = bisect_right([row[axis] for row in rows], (1 - WINDOW) * at, hi=index - 1)
    return fmean(row[metric] for row in rows[start:index])
