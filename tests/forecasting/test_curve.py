"""The forecast from a curve that is not complete."""

from __future__ import annotations

import math

import pytest

from lab.errors import NotEnough
from lab.forecasting.curve import reforecast
from lab.forecasting.law import Forecast


def curve(end: float, upto: float = 1.0) -> list[tuple[float, float]]:
    """A loss that falls like a power law to `end` above a floor of 1."""
    return [(k / 20, 1 + (end - 1) * (k / 20) ** -0.4) for k in range(1, 21) if k / 20 <= upto]


def test_what_was_said_before_counts_early_and_fades() -> None:
    said = Forecast.around(1.9, 0.02, "the ladder")
    found = [reforecast(curve(2.05, upto=part), said) for part in (0.3, 0.6, 0.95)]
    alone = [reforecast(curve(2.05, upto=part)) for part in (0.3, 0.6, 0.95)]
    assert all(1.9 < f.value < a.value for f, a in zip(found, alone, strict=True))
    assert [f.value for f in found] == sorted(f.value for f in found)
    assert all(f.high - f.low <= a.high - a.low for f, a in zip(found, alone, strict=True))
    assert "forecast before" in found[0].method


def test_a_learning_rate_that_falls_takes_more_off() -> None:
    so_far = curve(2.0, upto=0.3)
    assert reforecast(so_far, annealing=1.0).value < reforecast(so_far, annealing=0.5).value < reforecast(so_far).value


def test_without_one_the_curve_is_continued() -> None:
    found = reforecast(curve(2.0, upto=0.3))
    assert found.value == pytest.approx(2.0, rel=0.05)
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
