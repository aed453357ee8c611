"""The table of groups, and predictions as they are given."""

from __future__ import annotations

import pytest

from lab.settings.groups import GROUPS, OPTIONS, SHARED_OPTIONS, PredictConfig


def test_no_name_stands_for_two_things() -> None:
    for options in OPTIONS.values():
        assert not GROUPS.keys() & options.keys() | GROUPS.keys() & SHARED_OPTIONS.keys()


def test_predictions_as_they_are_sealed() -> None:
    given = PredictConfig(final_loss=[1.8, 2.0], memory_gb=2, overfit=False)
    loss, memory, overfit = given.predictions()
    assert (loss.quantity, loss.value, loss.low, loss.high) == ("final_val_loss", pytest.approx(1.9), 1.8, 2.0)
    assert (memory.quantity, memory.value) == ("peak_memory_bytes", 2e9)
    assert (overfit.value, overfit.low) == (0.0, None)


@pytest.mark.parametrize(
    ("given", "anything"), [({}, False), ({"ask": True}, True), ({"overfit": False}, True), ({"minutes": 0.0}, True)]
)
def test_whether_anything_was_said(given: dict[str, float], anything: bool) -> None:
    assert PredictConfig(**given).says_anything is anything  # type: ignore[arg-type]


def test_impossible_bounds_are_told_together() -> None:
    with pytest.raises(ValueError, match=r"final_loss is \[2, 1\].*\n.*minutes is -1"):
        PredictConfig(final_loss=[2, 1], minutes=-1)
    with pytest.raises(ValueError, match=r"final_loss is nan.*\n.*minutes is inf"):
        PredictConfig(final_loss=float("nan"), minutes=float("inf"))
