"""Is the difference real? Two configurations under a few seeds each, with a 95 % interval.

Two runs that differ in their seed alone end some thousandths of a nat apart. A difference between two configurations
counts only against that spread, and comes with its 95 % interval. One rule:

- **pairs** of one seed, where all runs of both have a partner that began with the same weights and read the same
  batches: what these do to the loss cancels out (`LOG.md` has by how much);
- else **Welch** (1947), whose two spreads may differ. A seed alone makes no pair: a model of another shape draws other
  weights with it;
- **one run** on a side shows no spread: it is taken to spread as the other side does, and the sentence says so;
- **one run each**: no answer. The spread of other runs, where there are some, tells how many seeds it would take.

How often it errs is simulated in `tests/runs/test_difference.py`: at equal numbers of runs at most 6 in 100, however
unequal the spreads; up to 11 where the side with two runs spreads the more and the other has more of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal

from lab.runs import metrics
from lab.runs.aligned_losses import WINDOW
from lab.runs.configurations import Group
from lab.runs.metrics import describe
from lab.runs.metrics_log import MetricsHistory
from lab.runs.statistics import (
    MOST_SEEDS,
    Estimate,
    block_interval,
    difference_interval,
    mean_interval,
    pooled_spread,
    seeds_needed,
)

LEAST_STEPS = 20

Kind = Literal["pairs", "seeds", "one against several", "one seed each", "nothing to compare"]


@dataclass(frozen=True)
class Difference:
    """What `second` has more of a metric than `first`, and whether that exceeds chance.

    `estimate`: over seeds; None where there is nothing to compare. `spread`: between seeds, None if not known;
    `elsewhere`: it is that of other runs. `real`: whether the interval leaves out 0, None where there is no interval.
    `seeds`: of each configuration, to see a difference of this size in 80 of 100 cases; None: unknown, or above 1000.
    """

    first: str
    second: str
    kind: Kind
    estimate: Estimate | None
    spread: float | None
    elsewhere: bool
    real: bool | None
    seeds: int | None
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)


def by_seed(group: Group, values: Mapping[str, float | None]) -> dict[tuple[Any, Any], float]:
    """Seed → value, runs without one left out; two runs of one seed are one value, their mean."""
    found: dict[tuple[Any, Any], list[float]] = {}
    for run in group.runs:
        if (value := values.get(run)) is not None:
            found.setdefault(group.seeds[run], []).append(value)
    return {seed: fmean(of_seed) for seed, of_seed in found.items()}


def judge(
    names: tuple[str, str],
    first: Mapping[tuple[Any, Any], float],
    second: Mapping[tuple[Any, Any], float],
    metric: str,
    elsewhere: float | None = None,
    *,
    same_start: bool = False,
) -> Difference:
    """Compare two configurations, given as seed → value.

    `elsewhere`: the spread between seeds that other runs show. `same_start`: runs of one seed begin with the same
    weights and read the same batches in both.
    """
    if not first or not second:
        missing = " and ".join(name for name, values in zip(names, (first, second), strict=True) if not values)
        sentence = f"{missing}: no {metric} that could be compared."
        return Difference(*names, "nothing to compare", None, None, False, None, None, sentence)
    shared = [seed for seed in first if seed in second]
    if same_start and len(shared) > 1 and len(shared) == len(first) == len(second):
        kind: Kind = "pairs"
        estimate = mean_interval([second[seed] - first[seed] for seed in shared])
    else:
        estimate = difference_interval(list(first.values()), list(second.values()))
        kind = "seeds" if min(len(first), len(second)) > 1 else "one against several"
        kind = "one seed each" if estimate.n == 2 else kind
    spread = estimate.spread if kind != "one seed each" else elsewhere
    seeds = seeds_needed(estimate.mean, spread, paired=kind == "pairs") if spread is not None else None
    real = estimate.excludes_zero if estimate.low is not None else None
    assumed = ""
    if kind == "one against several":
        assumed = f", if {names[len(first) > 1]}'s runs spread as {names[len(first) == 1]}'s do"
    told = _sentence(names, estimate, kind, metric, spread, real, seeds, assumed)
    return Difference(*names, kind, estimate, spread, kind == "one seed each" and spread is not None, real, seeds, told)


def _sentence(
    names: tuple[str, str], estimate: Estimate, kind: Kind, metric: str, spread: float | None, real: bool | None,
    seeds: int | None, assumed: str,
) -> str:  # fmt: skip
    first, second = names
    declared = describe(metric)
    way = "lower" if estimate.mean < 0 else "higher"
    good = {"lower": " (better)", "higher": " (worse)"} if declared and declared.better == "lower" else {}
    if declared and declared.better == "higher":
        good = {"lower": " (worse)", "higher": " (better)"}
    if estimate.mean == 0:
        found = f"{second} and {first} have the same {metric}"
    else:
        found = f"{second}'s {metric} is {abs(estimate.mean):.4g} {way}{good.get(way, '')} than {first}'s"
    if real is None:
        return f"{found}. One seed each: not enough to say. {_how_many(spread, seeds, elsewhere=True)}"
    low, high = sorted(abs(x) for x in (estimate.low or 0.0, estimate.high or 0.0))
    pairs = f", {estimate.n} pairs of one start" if kind == "pairs" else f", {estimate.n} runs"
    if real:
        return f"Real{assumed}: {found} (95 % interval {low:.3g} to {high:.3g}{pairs})."
    interval = f"{estimate.low:+.3g} to {estimate.high:+.3g}"
    return (
        f"Not enough to say{assumed}: {found}, but the 95 % interval of the difference, {interval}, holds 0{pairs}."
        f" {_how_many(spread, seeds)}"
    )


def _how_many(spread: float | None, seeds: int | None, elsewhere: bool = False) -> str:
    if spread is None:
        return "Nor is the spread between seeds known: train both with two more seeds, --seed_everything 2 and 3."
    whose = "With the spread that seeds of other runs show" if elsewhere else "With this spread"
    if spread == 0:
        return f"{whose}, none at all, any difference would be seen."
    if seeds is None:
        return f"{whose}, {spread:.2g}, it would take more than {MOST_SEEDS} seeds each to see so small a difference."
    return f"{whose}, {spread:.2g}, it would take {seeds} seeds each to see a difference of this size."


def paired_steps(
    first: MetricsHistory, second: MetricsHistory, metric: str = metrics.TRAIN_LOSS
) -> tuple[int, int, Estimate] | None:
    """The difference `second` - `first` on the very same batches, over the last tenth of the steps that both have.

    `(first step, last step, estimate)`; None below 20 common steps. Both see the same hard batches, so this
    is far sharper than two curves side by side; but it is about these two sets of weights, and says nothing of what
    other seeds would have made.
    """
    a, b = (dict(zip(*history.series(metric), strict=True)) for history in (first, second))
    steps = sorted(a.keys() & b.keys())
    steps = steps[-max(LEAST_STEPS, round(WINDOW * len(steps))) :]
    if len(steps) < LEAST_STEPS:
        return None
    return steps[0], steps[-1], block_interval([b[step] - a[step] for step in steps])


def spread_between_seeds(groups: Sequence[Mapping[tuple[Any, Any], float]]) -> float | None:
    """The standard deviation of a metric within configurations, over all that have two seeds or more."""
    return pooled_spread([list(values.values()) for values in groups if len(values) > 1])
