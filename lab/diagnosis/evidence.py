"""What the rules look at: a run so far, as curves, events and the facts known before its start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from lab.runs.events import Event
from lab.runs.facts import Facts
from lab.runs.metrics_log import MetricsDelta
from lab.runs.series import Columns, Series
from lab.runs.validation import curve_metric


class Evidence:
    """A run so far; grows with it. `evidence["val/loss"]` is a series, empty where nothing of that name was logged."""

    def __init__(
        self, facts: Facts | None = None, columns: Columns | None = None, events: Iterable[Event] = ()
    ) -> None:
        self.facts = facts or Facts()
        self.columns = columns or Columns()
        self.events = list(events)

    def __getitem__(self, name: str) -> Series:
        return self.columns[name]

    @property
    def validation_metric(self) -> str:
        """What the validation curve is: `val/subset_loss` or `val/loss`. A rule compares along one of them only."""
        return curve_metric(self.columns)

    @property
    def validation(self) -> Series:
        """The validation curve, as far as it was measured on the text that is held out now."""
        seams, measured = self.facts.seams, self[self.validation_metric]
        since = seams.validated_since if seams else 0
        return measured.between(since) if since else measured

    def layers(self, name: str) -> dict[int, Series]:
        """The series of a metric that each layer has, by layer."""
        return self.columns.layers(name)

    @property
    def step(self) -> int:
        """The newest step logged."""
        return self.columns.step

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

    def apply(self, delta: MetricsDelta, events: Iterable[Event] = ()) -> None:
        """Add what a reader of the run found new; a rewind takes rows back."""
        self.columns.apply(delta)
        self.events += events


def unbroken_since(holds: np.ndarray, n: int) -> int | None:
    """Where the unbroken stretch of True at the end begins; None if it is shorter than `n`."""
    broken = np.flatnonzero(~holds)
    begin = int(broken[-1]) + 1 if len(broken) else 0
    return begin if len(holds) - begin >= n else None
