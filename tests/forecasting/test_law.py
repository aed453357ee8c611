"""The law through a ladder: it finds what it is made of, says how sure it is, and knows when to say nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.errors import NotEnough
from lab.forecasting.law import (
    FEWEST,
    SIZE_EXPONENT,
    TOKEN_EXPONENT,
    Floor,
    Forecast,
    Trained,
    forecast_loss,
    seed_noise,
)

POINTS = ((50_000, 230_000), (50_000, 460_000), (115_000, 230_000), (200_000, 155_000))
TARGET = (800_000, 1_500_000)


def truth(size: int, tokens: int, floor: float = 0.56) -> float:
    """A loss that obeys the law."""
    return floor + 16.0 * size**-SIZE_EXPONENT + 54.0 * tokens**-TOKEN_EXPONENT


def runs(noise: float = 0.0, seed: int = 0) -> list[Trained]:
    rng = np.random.default_rng(seed)
    return [Trained(n, d, truth(n, d) * (1 + noise * rng.standard_normal())) for n, d in POINTS]


def test_what_obeys_the_law_is_forecast() -> None:
    found = forecast_loss(runs(), *TARGET, floor=Floor(0.56, 0.07))
    assert found.value == pytest.approx(truth(*TARGET), rel=0.02)
    assert "4 runs" in found.method
    for one in (found, forecast_loss(runs(), *TARGET)):
        assert one.low < truth(*TARGET) < one.high


def test_eighty_of_a_hundred_intervals_hold() -> None:
    found = [forecast_loss(runs(0.006, seed), *TARGET) for seed in range(200)]
    held = sum(f.low <= truth(*TARGET) <= f.high for f in found)
    assert held >= 0.75 * len(found)  # and more: the law itself errs where a real loss is forecast


def test_the_farther_away_the_less_sure() -> None:
    widths = [
        (f.high - f.low) / f.value for k in (1, 4, 16) for f in [forecast_loss(runs(), TARGET[0] * k, TARGET[1] * k)]
    ]
    assert widths == sorted(widths)


def test_what_is_known_of_the_text_decides_where_the_runs_cannot() -> None:
    own = Floor(0.56, 0.05)
    known, wrong = (forecast_loss(runs(), *TARGET, floor=f) for f in (own, Floor(1.5, 0.05)))
    assert abs(known.value - truth(*TARGET)) < abs(wrong.value - truth(*TARGET))
    assert known.value < wrong.value
    blind = forecast_loss(runs(), *TARGET)
    assert known.high - known.low < blind.high - blind.low


def test_many_runs_overrule_what_was_thought_of_the_text() -> None:
    grid = [(n, d) for n in (20_000, 80_000, 300_000, 900_000) for d in (10**5, 4 * 10**5, 1_600_000)]
    many = [Trained(n, d, truth(n, d)) for n, d in grid] * 4
    far = 4 * TARGET[0], 4 * TARGET[1]
    assert forecast_loss(many, *far, floor=Floor(0.8, 0.1)).value == pytest.approx(truth(*far), rel=0.03)


def test_a_made_texts_floor_is_its_entropy_and_anothers_follows_from_xz() -> None:
    made = Floor.of({"nats_per_token": {"floor": 1.734, "bigram": 2.0}})
    assert made is not None
    assert made.value == 1.734
    assert made.spread < 0.05 * made.value
    written = Floor.of({"nats_per_token": {"xz": 1.1}, "windows": 1.3})
    assert written is not None
    assert 0.3 < written.value / 1.3 < 0.5
    assert Floor.of({"nats_per_token": {"xz": 1.1}}) is None  # over a length that is not known


def test_too_few_runs_say_nothing() -> None:
    for few in ([], runs()[: FEWEST - 1], [runs()[0]] * 9, [Trained(1, 1, math.nan)] * 5):
        with pytest.raises(NotEnough, match="not enough to say"):
            forecast_loss(few, *TARGET)


def test_seeds_that_part_widen_the_interval() -> None:
    calm = [*runs(), Trained(*POINTS[0], truth(*POINTS[0]))]
    rough = [*runs(), Trained(*POINTS[0], 1.08 * truth(*POINTS[0]))]
    assert seed_noise(rough) > 2 * seed_noise(calm)
    widths = [f.high - f.low for f in (forecast_loss(calm, *TARGET), forecast_loss(rough, *TARGET))]
    assert widths[1] > 1.15 * widths[0]


def test_an_interval_is_symmetric_in_the_value() -> None:
    found = Forecast.around(2.0, 0.01, "so")
    assert found.value - found.low == pytest.approx(found.high - found.value)
    assert found.high == pytest.approx(2.0 * 1.012816)
