"""How the learning rate moves over a run: a pure function of the step, without a state to restore."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, NamedTuple, assert_never, get_args

Kind = Literal["cosine", "linear", "wsd", "constant"]
DecayShape = Literal["linear", "sqrt", "cosine"]

REMAINING: dict[DecayShape, Callable[[float], float]] = {
    "linear": lambda progress: 1 - progress,
    "sqrt": lambda progress: 1 - math.sqrt(progress),
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
}
"""How a decay falls, from 1 at progress 0 to 0 at progress 1."""


MOST_WARMUP = 0.25
"""Of a run whose steps follow from a clock, what a warm-up given in steps may take."""


class Knot(NamedTuple):
    """A revision: after `step` updates the run is at `place` in its schedule, and now ends after `total` of them."""

    step: int
    place: float
    total: int


class Course(NamedTuple):
    """How a run whose length is revised while it trains goes through a schedule laid out for `planned` steps.

    The learning rate does not jump where the number of steps becomes another: from that knot on the run goes through
    what is left of its schedule faster or slower, evenly, to be at its end with the last step.

    >>> course = Course(100, (Knot(50, 50.0, 75),))
    >>> course.total, [course.place(step) for step in (40, 50, 60, 75)]
    (75, [40.0, 50.0, 70.0, 100.0])
    """

    planned: int
    knots: tuple[Knot, ...] = ()

    @property
    def total(self) -> int:
        """Steps of the whole run, as they were revised last."""
        return self.knots[-1].total if self.knots else self.planned

    def place(self, step: int) -> float:
        """Where in the schedule the run is after `step` updates, in steps of the plan."""
        at = bisect_right(self.knots, step, key=lambda knot: knot.step)
        begin, place, total = self.knots[at - 1] if at else Knot(0, 0.0, self.planned)
        if step >= total:
            return float(self.planned)
        return place + (step - begin) * (self.planned - place) / (total - begin)

    def revised(self, step: int, place: float, total: int) -> Course:
        """The same up to `step`, and from there on to another end."""
        return self._replace(knots=(*self.knots, Knot(step, place, total)))

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"planned": self.planned, "total_steps": self.total, "knots": [list(knot) for knot in self.knots]}

    @classmethod
    def parse(cls, value: Any) -> Course | None:
        """What `as_plain` gave; None for anything else."""
        with suppress(LookupError, TypeError, ValueError):
            knots = (Knot(int(step), float(place), int(total)) for step, place, total in value["knots"])
            return cls(int(value["planned"]), tuple(knots))
        return None


class Rise(NamedTuple):
    """Where a run goes on at another rate than it had: at `step` it had `factor` of the optimizer's own rate."""

    step: int
    factor: float


@dataclass
class ScheduleConfig:
    """The shape of the learning rate over the run, as a factor between 0 and 1 on the optimizer's own rates.

    Warm-up first, because Adam's averages know nothing yet and large first steps in random directions do
    lasting harm; then high; then low, where the loss settles (most of the fall from a decay comes in its last
    part).

    Raises ValueError naming every bad setting. What only the length of the run can tell is in `problems`.

    Args:
        kind: cosine (Loshchilov & Hutter 2017; GPT-3's), linear, wsd: warm-up, stable, decay (Hu et al.
            2024), whose stable part needs no length fixed beforehand, constant.
        warmup_steps: Steps of linear warm-up. None: `warmup_fraction` of the run.
        warmup_fraction: Warm-up as a part of the run, where `warmup_steps` is not given.
        final_lr_fraction: What is left of the learning rate at the end. Chinchilla and GPT-3 take 0.1; with
            wsd and linear 0 is usual.
        decay_fraction: wsd only: the last part of the run, in which the learning rate falls.
        decay_shape: wsd only: linear, sqrt: 1-sqrt, which falls fast first (Hägele et al. 2024), or cosine.
        rewarm_steps: Steps over which a run that is resumed or forked at another rate goes from the one it had to the
            schedule's (Ibrahim et al. 2024); unset: it jumps.
    """

    kind: Kind = "cosine"
    warmup_steps: int | None = None
    warmup_fraction: float = 0.05
    final_lr_fraction: float = 0.1
    decay_fraction: float = 0.2
    decay_shape: DecayShape = "linear"
    rewarm_steps: int | None = None

    def __post_init__(self) -> None:
        checks = {
            "kind": (self.kind in get_args(Kind), f"choose one of {', '.join(get_args(Kind))}"),
            "warmup_steps": (
                self.warmup_steps is None or self.warmup_steps >= 0,
                "give 0 (none) or more steps",
            ),
            "rewarm_steps": (self.rewarm_steps is None or self.rewarm_steps >= 0, "give 0 (none) or more steps"),
            "warmup_fraction": (0 <= self.warmup_fraction < 1, "give a part of the run, at least 0, below 1"),
            "final_lr_fraction": (0 <= self.final_lr_fraction <= 1, "give a part of the rate, from 0 to 1"),
            "decay_fraction": (
                0 < self.decay_fraction <= 1,
                "give a part of the run, above 0 and at most 1 (no decay at all is kind: constant)",
            ),
            "decay_shape": (
                self.decay_shape in get_args(DecayShape),
                f"choose one of {', '.join(get_args(DecayShape))}",
            ),
        }
        problems = [
            f"schedule.{name} is {getattr(self, name)!r}: {remedy}"
            for name, (fine, remedy) in checks.items()
            if not fine
        ]
        if problems:
            raise ValueError("\n".join(problems))

    def warmup(self, total_steps: int) -> int:
        """Steps of warm-up in a run of `total_steps`."""
        return round(self.warmup_fraction * total_steps) if self.warmup_steps is None else self.warmup_steps

    def decay(self, total_steps: int) -> int:
        """Steps over which the learning rate falls in a run of `total_steps`; they are its last ones."""
        match self.kind:
            case "constant":
                return 0
            case "wsd":
                return max(1, round(self.decay_fraction * total_steps))
            case "linear" | "cosine":
                return total_steps - self.warmup(total_steps)
        assert_never(self.kind)

    def fitted(self, total_steps: int) -> ScheduleConfig:
        """The same with a warm-up and a decay that fit into `total_steps`, for a run whose steps follow from a clock.

        On a slow machine they are few: a warm-up given in steps then takes a quarter of them, and the decay begins no
        earlier than it ends. Fractions that contradict each other stay as they are; `problems` names them.
        """
        if self.warmup_steps is None and self.kind == "wsd" and self.warmup_fraction + self.decay_fraction > 1:
            return self
        warmup = min(self.warmup(total_steps), total_steps - 1)
        if self.warmup_steps is not None:
            warmup = min(warmup, int(MOST_WARMUP * total_steps))
        found = self if warmup == self.warmup(total_steps) else replace(self, warmup_steps=warmup)
        if self.kind == "wsd" and found.decay(total_steps) > total_steps - warmup:
            found = replace(found, decay_fraction=(total_steps - warmup) / total_steps)
        return found

    def phases(self, total_steps: int, course: Course | None = None) -> list[tuple[str, int, int]]:
        """`(name, first step, step after the last)` of warm-up, stable, decay, as far as the run has them; on a course
        in the steps that it is gone through with."""
        if course is not None:
            planned, steps = course.planned, range(course.total + 1)
            risen = bisect_left(steps, float(self.warmup(planned)), key=course.place)
            falls = bisect_right(steps, float(planned - self.decay(planned)), key=course.place) - 1
            bounds = [0, risen, max(risen, falls), course.total]
        else:
            bounds = [0, self.warmup(total_steps), total_steps - self.decay(total_steps), total_steps]
        names = ("warm-up", "stable", "decay")
        return [(name, a, b) for name, a, b in zip(names, bounds, bounds[1:], strict=False) if b > a]

    def problems(self, total_steps: int) -> list[str]:
        """What is wrong with these settings for a run of `total_steps`, one sentence each; empty: nothing."""
        warmup, decay = self.warmup(total_steps), self.decay(total_steps)
        if warmup and warmup >= total_steps:
            return [
                f"schedule.warmup_steps is {warmup}, but the run has {total_steps} steps and would never"
                f" reach its learning rate: set at most {total_steps - 1}, or a longer horizon"
            ]
        if warmup + decay > total_steps:
            return [
                f"schedule: {warmup} steps of warm-up and {decay} of decay (decay_fraction"
                f" {self.decay_fraction}) do not fit into {total_steps} steps: shorten one of them"
            ]
        return []

    def unused(self) -> list[str]:
        """Settings away from their defaults that have no effect next to the others, one sentence each."""
        reasons = {"final_lr_fraction": "kind is constant"} if self.kind == "constant" else {}
        if self.kind != "wsd":
            reasons |= dict.fromkeys(("decay_fraction", "decay_shape"), f"kind is {self.kind}")
        if self.warmup_steps is not None:
            reasons["warmup_fraction"] = f"warmup_steps is {self.warmup_steps}"
        return [
            f"schedule.{f.name} ({getattr(self, f.name)}) has no effect: {reasons[f.name]}"
            for f in fields(self)
            if f.name in reasons and getattr(self, f.name) != f.default
        ]


def lr_factor(
    step: int, total_steps: int, config: ScheduleConfig, rise: Rise | None = None, course: Course | None = None
) -> float:
    """What the optimizer's learning rates are multiplied with in the update from `step` to `step + 1`.

    A warm-up of w steps gives (step+1)/(w+1): the first update moves already, the peak is reached at step w.
    The final value stands exactly at `total_steps`, one after the last update, so that a decay to 0 wastes no
    update (with cosine this is nanoGPT's formula with lr_decay_iters = total_steps); later steps stay there.

    A `rise` of r steps is blended in as a warm-up is: (step-start+1)/(r+1) of the way from the rate before. On a
    `course` the schedule is that of its planned steps, gone through as it says, and `total_steps` does not count.
    """
    if rise is not None and config.rewarm_steps and rise.step <= step < rise.step + config.rewarm_steps:
        way = (step - rise.step + 1) / (config.rewarm_steps + 1)
        return rise.factor + way * (lr_factor(step, total_steps, config, course=course) - rise.factor)
    return _factor(step, total_steps, config) if course is None else _factor(course.place(step), course.planned, config)


def _factor(place: float, total_steps: int, config: ScheduleConfig) -> float:
    warmup = config.warmup(total_steps)
    if place < warmup:
        return (place + 1) / (warmup + 1)
    decay = config.decay(total_steps)
    if place <= total_steps - decay or config.kind == "constant":
        return 1.0
    progress = min(1.0, (place - (total_steps - decay)) / decay)
    shape = config.decay_shape if config.kind == "wsd" else config.kind
    return config.final_lr_fraction + (1 - config.final_lr_fraction) * REMAINING[shape](progress)
