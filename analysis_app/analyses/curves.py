"""Metrics of a run as curves that a browser can hold, and landmarks: the steps worth looking at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis_app.analyses.declaration import Answer, Array
from lab.runs import MetricsHistory, Run, metrics
from lab.runs.events import INDUCTION_HEAD, Finding, of_kind
from lab.runs.series import extremes
from lab.runs.validation import curve_metric

MAX_POINTS = 40_000  # of one curve; more are thinned, and every spike stays
LOSSES = (metrics.TRAIN_LOSS, metrics.VAL_LOSS, metrics.VAL_SUBSET_LOSS, metrics.VAL_SUBSET_LOSS_ERROR)


@dataclass(frozen=True)
class Curve:
    """One metric of one run; rows without a value are left out."""

    step: Array
    tokens: Array
    minutes: Array  # of training, without pauses
    value: Array


def curve(history: MetricsHistory, metric: str) -> Curve:
    """A metric over steps, tokens and minutes; thinned to its extremes where it has more than `MAX_POINTS`."""
    rows = [row for row in history.rows if row.get(metric) is not None]
    values = _column(rows, metric)
    chosen = extremes(values, MAX_POINTS)
    columns = (_column(rows, "step").astype(np.int64), _column(rows, "tokens"), _column(rows, "time") / 60, values)
    return Curve(*(column[chosen] for column in columns))


def landmarks(run: Run, history: MetricsHistory) -> list[Answer]:
    """Where the loss is half-way down, where the first induction head formed, where validation is best; by step.

    Each `{"name", "step", "why"}`.
    """
    found: list[tuple[str, int, str]] = []
    steps, losses = history.series(metrics.TRAIN_LOSS)
    if len(losses) > 1 and (half := (losses[0] + min(losses)) / 2) < losses[0]:
        step = next(step for step, loss in zip(steps, losses, strict=True) if loss <= half)
        why = f"the training loss first falls to {half:.3f}, half-way from {losses[0]:.3f} to {min(losses):.3f}"
        found.append(("loss half-way", step, why))
    findings = of_kind(run.events(), Finding)
    if onset := next((finding for finding in findings if finding.rule == INDUCTION_HEAD), None):
        why = f"head {onset.layer}.{onset.head} puts half of its attention there from here on"
        found.append(("induction onset", onset.step, why))
    if best := history.best(curve_metric(history)):
        found.append(("best val", best[0], f"the lowest validation loss, {best[1]:.3f}"))
    found.sort(key=lambda landmark: landmark[1])
    return [{"name": name, "step": step, "why": why} for name, step, why in found]


def timeline(run: Run) -> Answer:
    """The losses of a run, and its landmarks."""
    history = run.metrics()
    return {"curves": {name: curve(history, name) for name in LOSSES}, "landmarks": landmarks(run, history)}


def _column(rows: list[dict[str, Any]], name: str) -> Array:
    return np.array([np.nan if row.get(name) is None else row[name] for row in rows], dtype=np.float64)
