"""The forecast from a curve that is not complete."""

from __future__ import annotations

import math

import pytest

from lab.planning.curve import reforecast
from lab.planning.law import NotEnough, Trained


def curve(end: float, upto: float = 1.0) -> list[tuple[float, float]]:
    """A loss that falls like a power law to `end` above a floor of 1."""
    return [(k / 20, 1 + (end - 1) * (k / 20) ** -0.4) for k in range(1, 21) if k / 20 <= upto]


def test_a_ladder_says_how_much_is_left_to_fall() -> None:
    rungs = [Trained(1, 1, 2.0, tuple(curve(2.0))), Trained(2, 2, 2.1, tuple(curve(2.1)))]
    found = reforecast(curve(2.05, upto=0.3), rungs)
    assert found.value == pytest.approx(2.05, rel=0.01)
    assert found.low < 2.05 < found.high
    assert "2 finished runs" in found.method


def test_without_one_the_curve_is_continued() -> None:
    found = reforecast(curve(2.0, upto=0.3))
    assert found.value == pytest.approx(2.0, rel=0.03)
    assert "own curve" in found.method


def test_the_interval_closes_towards_the_end() -> None:
    found = [reforecast(curve(2.0, upto=part)) for part in (0.3, 0.6, 0.95, 1.0)]
    widths = [f.high - f.low for f in found]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0
    assert found[-1].value == 2.0


@pytest.mark.parametrize("so_far", [[], curve(2.0, upto=0.15), [(0.5, math.nan)], [(0.3, 2.5)]])
def test_too_early_is_too_early(so_far: list[tuple[float, float]]) -> None:
    with pytest.raises(NotEnough, match="not enough to say"):
        reforecast(so_far)


def test_a_curve_that_rises_is_not_continued_upwards() -> None:
    assert reforecast([(0.2, 2.0), (0.3, 2.1), (0.4, 2.2)]).value == 2.2


def test_finished_runs_without_a_curve_are_passed_over() -> None:
    assert "own curve" in reforecast(curve(2.0, upto=0.4), [Trained(1, 1, 2.0)]).method
