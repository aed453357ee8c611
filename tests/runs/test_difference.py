"""Whether a difference is real: what is said with several seeds, with one, and with none."""

from __future__ import annotations

import random

import pytest

from lab.runs import MetricsDelta, MetricsHistory, statistics
from lab.runs.configurations import Group
from lab.runs.difference import by_seed, judge, paired_steps, spread_between_seeds

NAMES = ("A", "B")


def seeds(*values: float, start: int = 1) -> dict[tuple[int, int], float]:
    return {(start + i, 1337): value for i, value in enumerate(values)}


def history(losses: list[float]) -> MetricsHistory:
    table = MetricsHistory()
    table.apply(MetricsDelta([{"step": i, "tokens": i, "time": i, "train/loss": x} for i, x in enumerate(losses)]))
    return table


def test_pairs_of_seeds_see_what_their_spread_would_hide() -> None:
    first, second = seeds(1.0, 2.0, 3.0), seeds(0.9, 1.89, 2.91)
    paired = judge(NAMES, first, second, "val/loss", same_start=True)
    assert (paired.kind, paired.real) == ("pairs", True)
    assert paired.sentence.startswith("Real: B's val/loss is 0.1 lower (better) than A's")
    assert "3 pairs" in paired.sentence
    for others, same_start in ((second, False), (seeds(0.9, 1.89, 2.91, start=7), True)):
        apart = judge(NAMES, first, others, "val/loss", same_start=same_start)
        assert (apart.kind, apart.real) == ("seeds", False)


def test_not_enough_to_say_says_what_would_be() -> None:
    found = judge(NAMES, seeds(1.00, 1.01, 0.99), seeds(1.005, 1.004, 1.006, start=9), "val/loss")
    assert found.real is False
    assert found.seeds is not None
    assert found.sentence.startswith("Not enough to say: B's val/loss is 0.005 higher (worse)")
    assert f"it would take {found.seeds} seeds each" in found.sentence


def test_one_seed_each() -> None:
    alone = judge(NAMES, seeds(1.0), seeds(1.1), "val/loss")
    assert (alone.kind, alone.real, alone.seeds, alone.spread) == ("one seed each", None, None, None)
    assert "One seed each: not enough to say. Nor is the spread between seeds known" in alone.sentence
    elsewhere = judge(NAMES, seeds(1.0), seeds(1.1), "val/loss", elsewhere=0.03)
    assert (elsewhere.elsewhere, elsewhere.spread, elsewhere.real) == (True, 0.03, None)
    assert "With the spread that seeds of other runs show" in elsewhere.sentence
    assert "more than 1000 seeds" in judge(NAMES, seeds(1.0), seeds(1.00001), "val/loss", elsewhere=0.03).sentence


def test_a_metric_that_is_better_higher_and_one_without_a_better() -> None:
    faster = judge(NAMES, seeds(1, 1.1), seeds(5, 5.1, start=5), "perf/tokens_per_second")
    assert "higher (better)" in faster.sentence
    assert "4 higher than" in judge(NAMES, seeds(1, 1.1), seeds(5, 5.1, start=5), "train/grad_norm").sentence


def test_nothing_to_compare() -> None:
    found = judge(NAMES, seeds(1.0), {}, "val/loss")
    assert (found.kind, found.sentence) == ("nothing to compare", "B: no val/loss that could be compared.")
    assert found.as_dict()["estimate"] is None


def test_identical_runs() -> None:
    found = judge(NAMES, seeds(1.0, 1.0), seeds(1.0, 1.0), "val/loss")
    assert (found.real, found.seeds) == (False, None)
    assert "have the same val/loss" in found.sentence


def test_runs_of_one_seed_are_one_value() -> None:
    group = Group(("a", "b", "c"), {"a": (1, 1), "b": (1, 1), "c": (2, 1)})
    assert by_seed(group, {"a": 1.0, "b": 3.0, "c": None}) == {(1, 1): 2.0}


def test_the_same_batches_step_by_step() -> None:
    rng = random.Random(0)
    hard = [rng.gauss(3, 0.5) for _ in range(400)]
    first, second = history(hard), history([x - 0.01 + rng.gauss(0, 0.003) for x in hard])
    found = paired_steps(first, second)
    assert found is not None
    start, end, estimate = found
    assert (start, end) == (360, 399)
    assert estimate.mean == pytest.approx(-0.01, abs=0.003)
    assert estimate.excludes_zero
    assert paired_steps(history(hard[:10]), second) is None


def test_the_spread_of_others() -> None:
    assert spread_between_seeds([seeds(1.0, 3.0), seeds(5.0)]) == pytest.approx(2**0.5)
    assert spread_between_seeds([seeds(5.0)]) is None


@pytest.fixture
def quantiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quantiles for degrees of freedom rounded to hundredths, so that few are computed: a tenth of the time."""
    exact = statistics.t_quantile
    monkeypatch.setattr(statistics, "t_quantile", lambda p, freedom: exact(p, round(freedom, 2)))


SIMULATED = 2000
SURE = 3 * (0.05 * 0.95 / SIMULATED) ** 0.5  # three standard errors of a share of 5 % of the simulations


def share_real(
    n: tuple[int, int], spreads: tuple[float, float], difference: float, alike: float = 0.0, same_start: bool = False
) -> float:
    """How often two configurations are said to differ: normal losses, those of one seed correlated by `alike`."""
    rng = random.Random(0)
    found = 0
    for _ in range(SIMULATED):
        common = [rng.gauss(0, 1) for _ in range(max(n))]
        first, second = (
            [alike**0.5 * shared + (1 - alike) ** 0.5 * rng.gauss(0, 1) for shared in common[:count]] for count in n
        )
        a, b = seeds(*(spreads[0] * x for x in first)), seeds(*(difference + spreads[1] * x for x in second))
        found += judge(NAMES, a, b, "val/loss", same_start=same_start).real is True
    return found / SIMULATED


@pytest.mark.parametrize("spreads", [(1.0, 1.0), (1.0, 2.0), (1.0, 4.0), (4.0, 1.0)])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_no_difference_is_called_real_once_in_twenty(quantiles: None, n: int, spreads: tuple[float, float]) -> None:
    for alike, same_start in ((0.0, False), (0.0, True), (0.8, True)):
        assert share_real((n, n), spreads, 0.0, alike, same_start) <= 0.05 + SURE


def test_a_single_run_is_taken_to_spread_as_the_others_and_it_is_said(quantiles: None) -> None:
    assert share_real((1, 5), (1.0, 1.0), 0.0) <= 0.05 + SURE
    assert share_real((1, 5), (4.0, 1.0), 0.0) > 0.2  # what the assumption costs where it is wrong
    found = judge(NAMES, seeds(1.0), seeds(2.0, 2.1, 1.9), "val/loss")
    assert found.sentence.startswith("Real, if A's runs spread as B's do: ")
    assert judge(NAMES, seeds(1.0, 1.1, 0.9), seeds(1.1), "val/loss").sentence.startswith(
        "Not enough to say, if B's runs spread as A's do: "
    )


def test_two_runs_against_more_err_in_one_of_nine_at_most(quantiles: None) -> None:
    assert max(share_real((2, more), (spread, 1.0), 0.0) for more in (3, 5) for spread in (1.0, 2.0, 4.0)) <= 0.125


@pytest.mark.parametrize(("alike", "same_start"), [(0.0, False), (0.9, True), (0.75, True)])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_better_of_pairs_and_welch_is_taken(quantiles: None, n: int, alike: float, same_start: bool) -> None:
    """Runs of one start are alike (0.76 to 1.00 were measured), others are not."""
    difference = 3.0 / n**0.5 * (1.5 - alike)
    chosen = share_real((n, n), (1.0, 1.0), difference, alike, same_start)
    other = share_real((n, n), (1.0, 1.0), difference, alike, not same_start)
    assert chosen >= other - 0.05
    assert n == 2 or chosen > other + 0.05
