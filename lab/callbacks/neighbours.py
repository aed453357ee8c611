"""Gives way to other programs while a run trains, and records it.

Waiting threads sleep instead of spinning for as long as other programs want the processors (`lab.waiting`); that
changes no result, and is recorded. Where it is not enough (a step still takes a third longer than alone) as many
threads as there are free processors are tried, and kept where they are faster. Threads share out sums, so another
number of them can change the last bits of a loss: each change is a decision at a step, which a resumed run repeats.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import torch

from lab.training.callback import FitContext
from lab.training.deciding import Deciding
from lab.training.step import StepBatch
from lab.waiting import LOOK_SECONDS, SLEEP, SPIN, Pressure, can_sleep, pressure

ENOUGH = 1.33  # times as long as alone a step may take before another number of threads is tried
BETTER = 0.95  # of the time of a step: what fewer threads must reach to be kept
TRY_SECONDS, TRY_STEPS = 3.0, 3  # that each number of threads is given
CHANGED = 0.6  # processors by which others must take more or less, for another trial
KEPT_TIMES = 50  # steps alone that the usual time is the median of
BITS = "which can change the last bits of a loss"


class Neighbours(Deciding):
    """Decides with how many threads the run computes, from its own steps and from what other programs take.

    Args:
        threads: As many as it computes with alone.
        gives_way: Whether anything is decided at all.
        fewer: Whether their number may change: not where the user has set it.
        seen: What is known of other programs.
        clock: Seconds.
    """

    what = "threads"
    settings = ("levers.threads", "levers.give_way")

    def __init__(
        self,
        threads: int,
        gives_way: bool = True,
        fewer: bool = True,
        seen: Pressure = pressure,
        clock: Callable[[], float] = time.monotonic,
        sleeps: Callable[[], bool] = can_sleep,
    ) -> None:
        super().__init__()
        self.threads, self.gives_way, self.fewer = threads, gives_way and threads > 1, fewer
        self.seen, self.clock, self.can_sleep = seen, clock, sleeps
        self._since = self._looked = self._changed = 0.0
        self._times: list[float] = []
        self._alone: deque[float] = deque(maxlen=KEPT_TIMES)
        self._found: dict[int, float] = {}
        self._level: float | None = None

    def before_step(self, fit: FitContext, batch: StepBatch) -> None:
        """A step begins."""
        self._since = self.clock()

    def decide(self, fit: FitContext) -> tuple[Any, str] | None:
        """Look twice a second."""
        if not self.gives_way:
            return None
        now = self.clock()
        self._times.append(now - self._since)
        if now - self._looked < LOOK_SECONDS:
            return None
        self._looked = now
        if not self.seen.pressed:
            return self._free(now)
        if self._holding() == (self.threads, SPIN) and self.can_sleep():
            longer = f" and steps took {self._slower():.1f} times as long" if self._alone else ""
            why = f"{self._taken()}{longer}: threads that wait sleep, which changes no result"
            return self._take(now, self.threads, SLEEP, why)
        return self._try(now) if self.fewer else None

    def apply(self, fit: FitContext, value: Any) -> None:
        """Set the number of threads; how they wait follows from who is there now."""
        torch.set_num_threads(value["threads"])

    def _holding(self) -> tuple[int, str]:
        """Threads, and how they wait."""
        return (self.held.value["threads"], self.held.value["waiting"]) if self.held else (self.threads, SPIN)

    def _free(self, now: float) -> tuple[Any, str] | None:
        """Nothing is wanted by others: all threads, as at the beginning."""
        if self._holding() == (self.threads, SPIN):
            self._alone.extend(self._times)
            self._times = []
            return None
        fewer = self._holding()[0] != self.threads
        self._found, self._level = {}, None
        again = f"{self.threads} threads again, {BITS}"
        bits = again if fewer else "threads that wait spin again"
        return self._take(now, self.threads, SPIN, f"the processors are free again: {bits}")

    def _try(self, now: float) -> tuple[Any, str] | None:
        """Beside others: compare all threads with as many as there are free processors, then keep the faster."""
        count, _ = self._holding()
        if now - self._changed < TRY_SECONDS or len(self._times) < TRY_STEPS:
            return None
        moved = self._level is not None and abs(self.seen.lacking - self._level) > CHANGED
        if self._level is not None and not moved:
            self._times = []
            return None
        if moved:
            self._found, self._level = {}, None
        self._found[count] = statistics.median(self._times)
        other = self.seen.room_for(self.threads) if count == self.threads else self.threads
        waiting = SLEEP if self.can_sleep() else SPIN
        if other not in self._found:
            if count == self.threads and (other == count or self._slower() <= ENOUGH):
                self._settle()
                return None
            why = f"{self._taken()}: {_count(other)} instead of {count} for a trial, {BITS}"
            return self._take(now, other, waiting, why)
        fewest = min(self._found)
        best = fewest if self._found[fewest] < BETTER * self._found[self.threads] else self.threads
        self._settle()
        if best == count:
            return None
        why = f"{_count(best)} instead of {count}, measured faster beside these others, {BITS}"
        return self._take(now, best, waiting, why)

    def _settle(self) -> None:
        self._level, self._times = self.seen.lacking, []

    def _take(self, now: float, threads: int, waiting: str, why: str) -> tuple[Any, str]:
        self._changed, self._times = now, []
        return {"threads": threads, "waiting": waiting}, why

    def _slower(self) -> float:
        """How many times as long as alone the last steps took; infinite where alone is not known."""
        if not self._alone or not self._times:
            return float("inf")
        return statistics.median(self._times) / statistics.median(self._alone)

    def _taken(self) -> str:
        return f"others keep {self.seen.lacking:.1f} of {self.threads} processors busy"


def _count(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"
