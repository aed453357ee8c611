"""Student's t and what rests on it, against published tables, SciPy where it is installed, and simulation."""

from __future__ import annotations

import math
import random
from statistics import stdev

import pytest

from lab.runs.statistics import (
    block_interval,
    difference_interval,
    mean_interval,
    pooled_spread,
    seeds_needed,
    t_quantile,
)

# Abramowitz and Stegun 1964, table 26.10, and its source's further digits.
TABLE = [
    (0.975, 1, 12.706205), (0.975, 2, 4.302653), (0.975, 3, 3.182446), (0.975, 4, 2.776445), (0.975, 10, 2.228139),
    (0.975, 30, 2.042272), (0.975, 120, 1.979930), (0.995, 3, 5.840909), (0.9, 5, 1.475884), (0.95, 60, 1.670649),
]  # fmt: skip


@pytest.mark.parametrize(("p", "freedom", "expected"), TABLE)
def test_quantiles_of_the_table(p: float, freedom: int, expected: float) -> None:
    assert t_quantile(p, freedom) == pytest.approx(expected, abs=2e-6)
    assert t_quantile(1 - p, freedom) == pytest.approx(-expected, abs=2e-6)


def test_quantiles_against_scipy() -> None:
    stats = pytest.importorskip("scipy.stats", reason="SciPy is not installed: pip install scipy")
    for p in (0.6, 0.8, 0.9, 0.975, 0.999):
        for freedom in (1, 1.3, 2.7, 9, 45.5, 99.9, 100.1, 5000):
            assert t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-6)


def test_both_ways_to_a_quantile_meet() -> None:
    assert t_quantile(0.975, 100) == pytest.approx(t_quantile(0.975, 100 + 1e-9), abs=1e-7)


@pytest.mark.parametrize(("p", "freedom"), [(0, 3), (1, 3), (0.5, 0.5), (float("nan"), 3), (0.9, float("nan"))])
def test_what_has_no_quantile(p: float, freedom: float) -> None:
    with pytest.raises(ValueError, match="t_quantile"):
        t_quantile(p, freedom)


def test_an_interval_by_hand() -> None:
    found = mean_interval([1.0, 2.0, 3.0])
    half = 4.302653 / math.sqrt(3)
    assert (found.mean, found.n, found.spread) == (2.0, 3, 1.0)
    assert (found.low, found.high) == (pytest.approx(2 - half, abs=1e-5), pytest.approx(2 + half, abs=1e-5))
    assert mean_interval([5.0]).low is None
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])


def test_welch_by_hand() -> None:
    # Variances 1 and 4 of three and four values: error √(1/3 + 1), freedom (4/3)² / ((1/3)²/2 + 1/3).
    first, second = [1.0, 2.0, 3.0], [8.0, 10.0, 10.0, 12.0]
    s1, s2 = 1.0 / 3, stdev(second) ** 2 / 4
    freedom = (s1 + s2) ** 2 / (s1**2 / 2 + s2**2 / 3)
    found = difference_interval(first, second)
    assert found.mean == 8.0
    assert found.high is not None
    assert found.high - found.mean == pytest.approx(t_quantile(0.975, freedom) * math.sqrt(s1 + s2))


def test_a_single_value_against_several_borrows_their_spread() -> None:
    found = difference_interval([1.0], [2.0, 2.2, 2.4])
    assert found.low is not None
    assert found.mean - found.low == pytest.approx(t_quantile(0.975, 2) * 0.2 * math.sqrt(1 + 1 / 3))
    assert difference_interval([1.0], [2.0]).low is None
    assert difference_interval([1.0, 1.0], [2.0, 2.0]).low == 1.0


def test_intervals_hold_as_often_as_they_say() -> None:
    rng = random.Random(0)
    held = sum(
        abs(e.mean) <= (e.high or 0) - e.mean
        for e in (mean_interval([rng.gauss(0, 1) for _ in range(3)]) for _ in range(2000))
    )
    assert held / 2000 == pytest.approx(0.95, abs=0.02)


def test_neighbours_that_are_alike_widen_an_interval() -> None:
    rng = random.Random(0)
    missed_plain = missed_blocks = 0
    for _ in range(100):
        values, x = [], 0.0
        for _ in range(400):
            x = 0.9 * x + rng.gauss(0, 1)
            values.append(x)
        plain, blocks = mean_interval(values), block_interval(values)
        missed_plain += plain.excludes_zero
        missed_blocks += blocks.excludes_zero
    assert missed_plain > 30
    assert missed_blocks < 15
    assert block_interval([1.0, 2.0]).low is None


def test_the_number_of_seeds_is_enough_and_no_more() -> None:
    for difference, spread, paired in ((0.01, 0.006, False), (0.01, 0.01, True), (0.004, 0.006, False)):
        n = seeds_needed(difference, spread, paired=paired)
        assert n is not None
        for seeds, enough in ((n, True), (n - 1, False)):
            if seeds < 2:
                continue
            freedom = seeds - 1 if paired else 2 * seeds - 2
            reach = (t_quantile(0.975, freedom) + t_quantile(0.8, freedom)) * spread
            assert (reach * math.sqrt((1 if paired else 2) / seeds) <= difference) is enough


def test_that_many_seeds_see_the_difference_four_times_in_five() -> None:
    rng = random.Random(1)
    n = seeds_needed(0.01, 0.006)
    assert n is not None
    seen = 0
    for _ in range(200):
        a, b = ([rng.gauss(m, 0.006) for _ in range(n)] for m in (0, 0.01))
        seen += difference_interval(a, b).excludes_zero
    assert 0.7 < seen / 200 < 0.95


@pytest.mark.parametrize(("difference", "spread", "seeds"), [(0.0, 0.1, None), (1e-6, 0.1, None), (1.0, 0.0, 2)])
def test_the_ends_of_the_number_of_seeds(difference: float, spread: float, seeds: int | None) -> None:
    assert seeds_needed(difference, spread) == seeds


def test_pooled_spread() -> None:
    assert pooled_spread([[1.0, 3.0], [11.0, 13.0], [7.0]]) == pytest.approx(math.sqrt(2))
    assert pooled_spread([[1.0], [2.0], []]) is None
