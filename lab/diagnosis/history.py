"""What the rules look at: a run so far, as curves, events and the facts known before its start.

Grows with the run: rows are added, a rewind takes some back. A curve is a pair of arrays, so that a rule over
twenty thousand steps takes microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.diagnosis.facts import Facts
from lab.runs.history import MetricsDelta

FRAME = frozenset({"step", "tokens", "time", "wall", "rewound_from"})
LAYER = re.compile(r"\.layer(\d+)$")
Floats = NDArray[np.float64]
Steps = NDArray[np.int64]


class Curve:
    """A metric over the steps at which it was logged; `steps` and `values` are views that cost nothing.

    `lost` holds the steps of its nulls: numbers that were not finite.
    """

    def __init__(self) -> None:
        self._steps: Steps = np.empty(64, dtype=np.int64)
        self._values: Floats = np.empty(64)
        self._n = 0
        self.lost: list[int] = []

    def __len__(self) -> int:
        return self._n

    @property
    def steps(self) -> Steps:
        """Steps, growing."""
        return self._steps[: self._n]

    @property
    def values(self) -> Floats:
        """The values at these steps."""
        return self._values[: self._n]

    def add(self, step: int, value: float | None) -> None:
        """One more; of two values for a step the later counts."""
        if value is None:
            self.lost.append(step)
            return
        if self._n and self._steps[self._n - 1] == step:
            self._n -= 1
        if self._n == len(self._steps):
            self._steps = np.concatenate([self._steps, np.empty_like(self._steps)])
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        self._steps[self._n], self._values[self._n] = step, value
        self._n += 1

    def drop_beyond(self, step: int) -> None:
        """Forget what was logged after `step`."""
        self._n = int(np.searchsorted(self.steps, step, side="right"))
        self.lost = [lost for lost in self.lost if lost <= step]

    def since(self, step: float) -> tuple[Steps, Floats]:
        """The part from `step` on."""
        at = int(np.searchsorted(self.steps, step))
        return self.steps[at:], self.values[at:]

    def last(self, n: int) -> tuple[Steps, Floats]:
        """The newest `n`."""
        return self.steps[max(0, self._n - n) :], self.values[max(0, self._n - n) :]

    def at(self, step: int) -> float | None:
        """The value of that very step."""
        i = int(np.searchsorted(self.steps, step))
        return float(self.values[i]) if i < self._n and self.steps[i] == step else None


_NOTHING = Curve()


class History:
    """A run so far. `history["val/loss"]` is a curve, empty where nothing of that name was logged."""

    def __init__(self, facts: Facts | None = None) -> None:
        self.facts = facts or Facts()
        self.events: list[Mapping[str, Any]] = []
        self.step = 0
        self._curves: dict[str, Curve] = {}

    def __getitem__(self, name: str) -> Curve:
        return self._curves.get(name, _NOTHING)

    def names(self) -> list[str]:
        """The metrics that were logged, sorted."""
        return sorted(self._curves)

    def layers(self, name: str) -> list[Curve]:
        """The curves of a metric that each layer has, from the first layer on."""
        found = {
            int(match[1]): curve
            for key, curve in self._curves.items()
            if key.startswith(f"{name}.layer") and (match := LAYER.search(key)) and key == f"{name}.layer{match[1]}"
        }
        return [found[layer] for layer in sorted(found)]

    @property
    def progress(self) -> float | None:
        """How much of the planned run is done, 0 to 1; None where the plan is not known."""
        total = self.facts.total_steps
        return self.step / total if total else None

    def is_try(self, limits: Any) -> bool:
        """Whether the plan is so short that it is a try and not a run."""
        return self.facts.total_steps is not None and self.facts.total_steps < limits.try_steps

    def span(self, share: float, at_least: int = 1) -> int:
        """`share` of the planned run in steps; of what is done where the plan is not known."""
        return max(at_least, int(share * (self.facts.total_steps or self.step)))

    def add(self, row: Mapping[str, Any]) -> None:
        """One row of metrics.jsonl."""
        step = int(row["step"])
        self.step = max(self.step, step)
        for name, value in row.items():
            if name not in FRAME:
                self._curves.setdefault(name, Curve()).add(step, value)

    def apply(self, delta: MetricsDelta, events: Iterable[Mapping[str, Any]] = ()) -> None:
        """What a reader of the run found new."""
        if delta.reset:
            self._curves.clear()
            self.step = 0
        if delta.rewind is not None:
            self.step = min(self.step, delta.rewind)
            for curve in self._curves.values():
                curve.drop_beyond(delta.rewind)
        for row in delta.rows:
            self.add(row)
        self.events += events
