"""Which number is derived where, and how near the two derivations must come to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.derivations.tiny_run import TinyRun

Pair = tuple[Any, Any]
"""(what the lab shows, what follows from the definition): numbers or arrays of one shape."""
Compute = Callable[[TinyRun], Iterable[Pair]]

FP64, FP32 = 1e-6, 1e-4


@dataclass(frozen=True)
class Derivation:
    """A second way to some numbers. `only`: for which of the runs it can be made; all by default."""

    names: tuple[str, ...]
    compute: Compute
    within: float
    only: tuple[str, ...] | None

    @property
    def how(self) -> str:
        """The first line of its docstring."""
        return (self.compute.__doc__ or "").strip().splitlines()[0]

    def difference(self, run: TinyRun) -> float:
        """The largest difference between the two, as a share of the larger of 1 and the size of the number.

        Raises AssertionError where there is nothing to compare.
        """
        found = [_difference(shown, derived) for shown, derived in self.compute(run)]
        assert found, f"nothing was shown of {', '.join(self.names)}"
        return max(found)


DERIVATIONS: list[Derivation] = []


def derives(*names: str, within: float = FP32, only: tuple[str, ...] | None = None) -> Callable[[Compute], Compute]:
    """Declare a function as the derivation of these metrics (`train/loss`) or analyses (`page/attention`)."""

    def declare(compute: Compute) -> Compute:
        DERIVATIONS.append(Derivation(names, compute, within, only))
        return compute

    return declare


def _difference(shown: Any, derived: Any) -> float:
    a, b = (np.asarray(x, dtype=np.float64) for x in (shown, derived))
    assert a.shape == b.shape, f"shapes differ: {a.shape} is shown, {b.shape} derived"
    assert a.size, "an empty array is compared with an empty array"
    both = np.isfinite(a) & np.isfinite(b)
    assert np.array_equal(a[~both], b[~both], equal_nan=True), "NaN or infinity in one of the two alone"
    size = max(1.0, float(np.abs(b[both]).max(initial=0)))
    return float(np.abs(a - b)[both].max(initial=0)) / size
