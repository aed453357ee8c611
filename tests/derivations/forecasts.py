"""The forecast of the final loss, by the regression of Python's own `statistics`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist, linear_regression

from tests.derivations.register import FP32, Pair, derives
from tests.derivations.tiny_run import FIT, STEPS, TinyRun

Z80 = NormalDist().inv_cdf(0.9)


@derives("forecast/final_val_loss", "forecast/low", "forecast/high", within=FP32)
def forecast(run: TinyRun) -> Iterator[Pair]:
    """ln(loss - half the newest) regressed on ln(part of the run), continued to its end, less the annealing"""
    curve = run["val/subset_loss"]
    for step, shown in run["forecast/final_val_loss"].items():
        low, high = run["forecast/low"][step], run["forecast/high"][step]
        if step == STEPS:
            continue
        part = step / STEPS
        so_far = {at: loss for at, loss in curve.items() if 0.1 * STEPS <= at <= step}
        floor = min(so_far.values()) / 2
        line = linear_regression(
            [math.log(at / STEPS) for at in so_far], [math.log(loss - floor) for loss in so_far.values()]
        )
        value = floor + math.exp(line.intercept) if line.slope < 0 else so_far[step]
        value *= 1 - 0.045 * max(0.0, rate(run, step) - 0.1)
        of_subset = run["val/subset_loss_error"][step] / curve[step]
        spread = math.hypot(max(0.002, 0.032 * math.sqrt((1 - part) / 0.7)), of_subset)
        yield shown, value
        yield [low, high], [value * (1 - Z80 * spread), value * (1 + Z80 * spread)]


def rate(run: TinyRun, step: int) -> float:
    """The learning rate at a step as a part of its peak."""
    return run["train/lr"][step] / FIT["model.optimizer.lr"]
