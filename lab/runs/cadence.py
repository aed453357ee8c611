"""When something happens in a run: every so many optimizer steps, or so many times over its whole length."""

from __future__ import annotations

from dataclasses import dataclass


def is_log_spaced(step: int, every: int) -> bool:
    """Whether `step` is 0, 1, 2, 4, 8, … below `every`, or a multiple of it.

    A model learns token frequencies within tens of steps and longer patterns over thousands, hence the powers of two.
    """
    if every < 1:
        raise ValueError(f"every {every} steps: at least 1 is needed")
    return step & (step - 1) == 0 if step < every else step % every == 0


@dataclass(frozen=True)
class Cadence:
    """Steps of a run at even distances, and its last one; `early`: with a log-spaced start.

    Args:
        every: Steps between two; 0: never; None: the run's length decides, by the rest.
        per_run: How often in a run, about.
        least: The fewest steps between two: a run of 20 steps is not looked at 20 times.
        at_most: Not more than `per_run` times after step 0: the distance is rounded up, not down.
        early: Also 0, 1, 2, 4, 8, … before the first multiple (`is_log_spaced`).
    """

    every: int | None
    per_run: int
    least: int = 1
    at_most: bool = False
    early: bool = True

    def steps(self, total_steps: int, unit: int = 1) -> int:
        """Steps between two in a run of `total_steps`, 0 for never; where unset, a multiple of `unit`."""
        if self.every is not None:
            return self.every
        least = max(self.least, -(-total_steps // self.per_run) if self.at_most else total_steps // self.per_run)
        return -(-least // unit) * unit

    def due(self, step: int, total_steps: int, nth: int = 1) -> bool:
        """Whether `step` is one of them; `nth`: of those at even distances only every nth; 0: of all only the last."""
        if (every := self.steps(total_steps)) == 0:
            return False
        if step >= total_steps or nth == 0:
            return step >= total_steps
        return is_log_spaced(step, nth * every) if self.early else step % (nth * every) == 0

    def count(self, total_steps: int, begin: int = 0, nth: int = 1) -> int:
        """How often in a run of `total_steps` from step `begin` on, both ends included."""
        if (every := nth * self.steps(total_steps)) == 0 or begin >= total_steps:
            return int(self.due(total_steps, total_steps))
        multiples = (total_steps - 1) // every - (begin - 1) // every
        early = range(min(every, total_steps).bit_length() + 1) if self.early else ()
        return 1 + multiples + sum(begin <= 1 << i < min(every, total_steps) for i in early)

    def problems(self, name: str, zero: str) -> list[str]:
        """What is wrong with `every`, the setting `name`; `zero` says what 0 is for."""
        fine = self.every is None or self.every >= 0
        return [] if fine else [f"{name} is {self.every}: give a number of steps, or 0 {zero}"]
