"""Where the time of a run goes: into steps, waiting for batches, and looks (validations, instruments, …)."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any, TypeVar

T = TypeVar("T")

VALIDATION_SHARE = 0.05
"""Of a run's wall-clock, what validation may take where nothing else is set."""
LOOKS_SHARE = 0.05
"""And what all other looks and checkpoints may take together."""
LEAST_SECONDS = 60.0
"""A run that is shorter, its looks included, keeps all of them."""
RECENT = 32  # steps whose median tells what a step takes


class BrokenOff(Exception):
    """A look was ended before its end: nothing of it counts."""


class LookTimes:
    """Seconds by who looks, of steps and of waiting for batches, over all processes of a run.

    A step's time is what its batch kept it waiting and what it computed. These, the looks and what lies between (the
    start, the log) add up to the run's wall-clock.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.seconds: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.first: dict[str, float] = {}
        """What the first look took: it loads what the later ones find loaded."""
        self.nth: dict[str, int] = {}
        """By name, of the looks at even distances only every nth; 0: only the last. Not in here: all."""
        self.computing = 0.0
        """Seconds of steps with their batch at hand."""
        self.waiting = 0.0
        """Seconds that steps waited for their batches."""
        self.newest = (0.0, 0.0)
        """Of the newest step: seconds waited, seconds computed."""
        self._steps: deque[float] = deque(maxlen=RECENT)
        self._since = self._waited = 0.0

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """What happens inside is a look of `name`."""
        begin = self.clock()
        try:
            yield
        finally:
            took = self.clock() - begin
            self.first.setdefault(name, took)
            self.seconds[name] = self.seconds.get(name, 0.0) + took
            self.counts[name] = self.counts.get(name, 0) + 1

    def each(self, name: str) -> float:
        """What a look of `name` takes on average, the first left out where there are more; 0 before the first."""
        n, seconds = self.counts.get(name, 0), self.seconds.get(name, 0.0)
        return (seconds - self.first[name]) / (n - 1) if n > 1 else seconds

    def run_seconds(self, elapsed: float, steps_left: int) -> float:
        """The whole run without further looks: `elapsed` so far, and `steps_left` as long as the newest."""
        return elapsed + steps_left * (self.step_seconds or 0.0)

    def waits(self, fetch: Callable[[int], T]) -> Callable[[int], T]:
        """`fetch`, which gives the batch of a step, its seconds counted as waiting."""

        def fetch_and_count(step: int) -> T:
            begin = self.clock()
            try:
                return fetch(step)
            finally:
                self._waited += self.clock() - begin

        return fetch_and_count

    def step_begins(self) -> None:
        """The batch of a step is here."""
        self._since = self.clock()

    def step_ends(self) -> None:
        """Its update is done."""
        self.newest, self._waited = (self._waited, self.clock() - self._since), 0.0
        self.waiting, self.computing = self.waiting + self.newest[0], self.computing + self.newest[1]
        self._steps.append(sum(self.newest))

    @property
    def step_seconds(self) -> float | None:
        """The median of the newest steps, waiting for their batches included; None before the first."""
        return median(self._steps) if self._steps else None

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        looks = {"seconds": dict(self.seconds), "counts": dict(self.counts), "first": dict(self.first)}
        return looks | {"computing": self.computing, "waiting": self.waiting}

    def restore(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self.seconds, self.counts, self.first = (dict(state[name]) for name in ("seconds", "counts", "first"))
        # Checkpoints of earlier versions don't tell: from then on it is not known.
        self.computing, self.waiting = (state.get(name, math.nan) for name in ("computing", "waiting"))


def allotted(share: float, run: float) -> float:
    """Seconds that looks may take together in a run of `run` seconds."""
    return share * max(LEAST_SECONDS, run)


def fits(share: float, run: float, spent: float, ahead: float) -> bool:
    """Whether looks that took `spent` seconds and will take `ahead` more are within their share of a run that without
    these takes `run`; those of a run of less than a minute are in any case.
    """
    return spent + ahead <= allotted(share, run) or run + ahead < LEAST_SECONDS
