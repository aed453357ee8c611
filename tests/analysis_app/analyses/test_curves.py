"""Curves of runs: thinned without losing a spike, and landmarks on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis_app.analyses.curves import MAX_POINTS, curve, landmarks
from lab.callbacks.reference_texts import induction_finding
from lab.runs import EventWriter, MetricsHistory, MetricsWriter, create_run
from lab.runs.metrics_log import MetricsDelta

TEXT = "the cat sat"


@pytest.mark.parametrize("n", [10, MAX_POINTS + 1, 5 * MAX_POINTS])
def test_a_spike_survives_thinning(n: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(2, 0.1, n)
    for at in rng.integers(0, n, 3):
        values[at] = 9.0
    rows = [{"step": i, "tokens": i, "time": 60.0 * i, "train/loss": value} for i, value in enumerate(values.tolist())]
    history = MetricsHistory()
    history.apply(MetricsDelta(rows))
    found = curve(history, "train/loss")
    assert len(found.step) <= MAX_POINTS + 5
    assert (np.diff(found.step) > 0).all()
    assert (found.step[0], found.minutes[-1]) == (0, n - 1)
    np.testing.assert_array_equal(found.value, values[found.step])
    assert (found.value == 9.0).sum() == (values == 9.0).sum()
    assert found.value.min() == values.min()


def test_landmarks_are_where_the_curves_say(tmp_path: Path) -> None:
    run = create_run(tmp_path, "curves")
    writer = MetricsWriter(run)
    for step, (train, val) in enumerate([(4.0, 4.1), (3.2, None), (2.4, 3.0), (2.9, 2.5), (1.0, 2.7)]):
        writer.write(step, 10 * step, step / 2, {"train/loss": train} | ({"val/loss": val} if val else {}))
    history = run.metrics()
    assert [(mark["name"], mark["step"]) for mark in landmarks(run, history)] == [("loss half-way", 2), ("best val", 3)]
    with EventWriter(run) as events:
        events.write(induction_finding(1, 0, score=0.7, chance=0.1, step=1))
    onset, *others = landmarks(run, history)
    assert (onset["name"], onset["step"], onset["why"].partition(" puts")[0]) == ("induction onset", 1, "head 1.0")
    assert [mark["name"] for mark in others] == ["loss half-way", "best val"]
