"""Small arithmetic on curves that the rules share."""

from __future__ import annotations

import numpy as np

from lab.diagnosis.history import Curve, Floats


def smooth(values: Floats, width: int) -> Floats:
    """The mean of the last `width` values at each point; of fewer at the beginning."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(0, ends - width)
    return (sums[ends] - sums[begins]) / (ends - begins)


def run_of(holds: np.ndarray, n: int) -> int | None:
    """Where the unbroken stretch of True at the end begins; None if it is shorter than `n`."""
    broken = np.flatnonzero(~holds)
    begin = int(broken[-1]) + 1 if len(broken) else 0
    return begin if len(holds) - begin >= n else None


def near(curve: Curve, step: int, width: int) -> float | None:
    """The mean of a curve within `width` steps before and after `step`; None where it has nothing there."""
    inside = (curve.steps >= step - width) & (curve.steps <= step + width)
    return float(curve.values[inside].mean()) if inside.any() else None
