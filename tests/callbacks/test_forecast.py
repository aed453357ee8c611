"""The forecast that is made anew after each validation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.callbacks.forecast import Reforecast
from lab.runs.metrics_log import MetricsDelta, MetricsHistory
from lab.runs.seams import Seam, Seams

NAMES = {"forecast/final_val_loss", "forecast/low", "forecast/high"}


def fit_at(step: int, loss: float, logged: list[tuple[int, dict[str, float]]], before: Any = ((), ())) -> Any:
    """A fit of 100 steps after a validation at `step`."""
    metrics = MetricsHistory()
    metrics.apply(MetricsDelta(rows=[{"step": at, "val/loss": known} for at, known in zip(*before, strict=True)]))
    logbook = SimpleNamespace(
        run=SimpleNamespace(metrics=lambda: metrics),
        log=lambda step, values: logged.append((step, values)),
        seams=Seams([Seam(0, 0, 0, 64, 16, 100)]),
    )
    module = SimpleNamespace(scheduled=lambda at: 1.0, validated={"val/loss": loss})
    return cast(Any, SimpleNamespace(step=step, total_steps=100, compares=True, module=module, logbook=logbook))


def test_it_speaks_once_a_fifth_of_the_run_is_done() -> None:
    logged: list[tuple[int, dict[str, float]]] = []
    reforecast = Reforecast()
    for step, loss in ((0, 4.0), (10, 3.5), (20, 3.2), (30, 3.0)):
        reforecast.validated(fit_at(step, loss, logged))
    assert [step for step, _ in logged] == [20, 30]
    for _, values in logged:
        assert values.keys() == NAMES
        assert values["forecast/low"] < values["forecast/final_val_loss"] < values["forecast/high"]


def test_a_resumed_run_has_the_curve_before_it() -> None:
    whole: list[tuple[int, dict[str, float]]] = []
    resumed: list[tuple[int, dict[str, float]]] = []
    curve = ((10, 3.5), (20, 3.2), (30, 3.0))
    first, second = Reforecast(), Reforecast()
    for step, loss in curve:
        first.validated(fit_at(step, loss, whole))
    second.start(fit_at(25, 0.0, [], before=((10, 20, 30), (3.5, 3.2, 9.9))))
    second.validated(fit_at(30, 3.0, resumed))
    assert resumed[-1][0] == whole[-1][0] == 30
    assert resumed[-1][1] == pytest.approx(whole[-1][1])
