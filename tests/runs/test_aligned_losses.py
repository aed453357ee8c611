"""Losses of runs at the farthest point that all of them reached."""

from __future__ import annotations

import pytest

from lab.runs import MetricsDelta, MetricsHistory
from lab.runs.aligned_losses import compare_losses


def history(tokens_per_step: int, losses: dict[int, float | None]) -> MetricsHistory:
    table = MetricsHistory()
    rows = [
        {"step": step, "tokens": step * tokens_per_step, "time": step * 1.0, "val/loss": loss}
        for step, loss in losses.items()
    ]
    table.apply(MetricsDelta(rows))
    return table


def test_aligned_on_the_farthest_common_point() -> None:
    runs = {
        "small": history(10, {0: 5.0, 10: 4.0, 20: 3.0}),
        "large": history(20, {0: 5.0, 5: 4.5, 8: 3.5, 15: 2.0}),
    }
    by_tokens = compare_losses(runs, "tokens", ["val/loss"])
    assert (by_tokens.axis, by_tokens.at) == ("tokens", 200)
    assert by_tokens.values == {"small": {"val/loss": 3.0}, "large": {"val/loss": 3.5}}
    by_steps = compare_losses(runs, "step", ["val/loss"])
    assert by_steps.at == 15
    assert by_steps.values == {"small": {"val/loss": 4.0}, "large": {"val/loss": 2.0}}


def test_what_was_never_measured_is_none() -> None:
    runs = {"a": history(10, {0: None, 10: None}), "b": history(10, {5: 3.0})}
    found = compare_losses(runs, "tokens", ["val/loss", "train/loss"])
    assert found.at == 50
    assert found.values == {
        "a": {"val/loss": None, "train/loss": None},
        "b": {"val/loss": 3.0, "train/loss": None},
    }


@pytest.mark.parametrize("runs", [{}, {"a": MetricsHistory(), "b": history(1, {1: 1.0})}])
def test_nothing_to_compare(runs: dict[str, MetricsHistory]) -> None:
    found = compare_losses(runs, "tokens", ["val/loss"])
    assert found.at is None
    assert all(values == {"val/loss": None} for values in found.values.values())


def test_single_batches_are_averaged_over_the_last_tenth() -> None:
    table = MetricsHistory()
    table.apply(MetricsDelta([{"step": s, "tokens": s, "time": s, "train/loss": float(s % 2)} for s in range(101)]))
    assert compare_losses({"a": table}, "step", ["train/loss"]).values["a"]["train/loss"] == 0.5
