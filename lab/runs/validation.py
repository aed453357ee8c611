"""Which of a run's validation losses are its curve, and which is its result: the subset's or the whole split's.

While a run trains, looks read a fixed random subset of the validation split (`val/subset_loss`); the whole split
(`val/loss`) is read after the last step. Runs of earlier versions, those with `validation.windows: 0` and those whose
split is no larger than the subset have `val/loss` alone. The two are different numbers: no curve mixes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lab.runs import metrics
from lab.runs.metrics_log import MetricsHistory

if TYPE_CHECKING:
    from lab.runs.series import Columns, Series

SUBSET_OF = {
    metrics.VAL_LOSS: metrics.VAL_SUBSET_LOSS,
    metrics.VAL_BITS_PER_BYTE: metrics.VAL_SUBSET_BITS_PER_BYTE,
}
"""Measured on the whole split → the same on the subset."""
ERROR_OF = {
    metrics.VAL_LOSS: metrics.VAL_LOSS_ERROR,
    metrics.VAL_SUBSET_LOSS: metrics.VAL_SUBSET_LOSS_ERROR,
}
"""A validation loss → its standard error."""
BAND = 2.0  # standard errors up and down that are drawn: 19 of 20 times the whole split's loss lies inside


def on_whole_or_subset(losses: Mapping[str, float | None], metric: str = metrics.VAL_LOSS) -> float | None:
    """Of what was measured of the same weights the value on the whole split, else that on the subset."""
    whole = losses.get(metric)
    return losses.get(SUBSET_OF[metric]) if whole is None else whole


def curve_metric(found: Columns | MetricsHistory, metric: str = metrics.VAL_LOSS) -> str:
    """The metric whose values are the run's curve: on the subset where there are more of these."""
    subset = SUBSET_OF[metric]
    return subset if _count(found, subset) > _count(found, metric) else metric


def result_metric(found: Columns, metric: str = metrics.VAL_LOSS) -> str:
    """The metric of the newest validation: on the whole split where that was read then."""
    whole, curve = found[metric], found[name := curve_metric(found, metric)]
    return metric if len(whole) and whole.steps[-1] >= curve.steps[-1] else name


def errors_of(found: Columns, metric: str) -> Series:
    """The standard errors of a validation loss; empty where they were not measured."""
    from lab.runs.series import Series  # brings NumPy, which a list of runs does without

    return found[ERROR_OF[metric]] if metric in ERROR_OF else Series()


def _count(found: Columns | MetricsHistory, metric: str) -> int:
    return len(found.series(metric)[0]) if isinstance(found, MetricsHistory) else len(found[metric])
