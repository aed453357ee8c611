"""How long a run is: steps, tokens, tokens per parameter, or minutes, whose steps are revised by the clock."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, fields

from lab.training.schedules import Course, ScheduleConfig
from lab.units import short

MOST_TOKENS = 10**15  # whole numbers of this size still are exact as floats, which is what a reader of JSON has

DECIDES_STEPS = (
    *("horizon.", "data.tokens_per_step", "data.batch_size", "data.context_length", "model.config.context_length"),
)
"""How the names of the settings begin that decide the number of steps."""
BESIDE = 0.08  # of a step's time: what looks and checkpoints take besides, as long as it was not measured
CHECKS = (0.03, 0.06, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
"""Shares of the time after which the number of steps is looked at."""
SETTLING = 4  # first steps of a process that tell nothing: they load, allocate and compile
WINDOW = 0.05  # of the time: the newest steps, which tell how long the next will take
MARKS = 25  # at least as many steps, or groups of them, are told apart in it
WEIGHT = 0.1  # of the time: what `BESIDE` counts for beside what was measured
LEAST = 0.005  # of the time: a revision that moves the end by less is left out,
SAME = 0.05  # and one by less than this of the time that is left: a later one has better numbers


@dataclass
class HorizonConfig:
    """The length of the run, in exactly one of four units. Raises ValueError where none or several are given.

    Args:
        steps: Optimizer steps.
        tokens: Tokens the model learns from (1e9 is fine).
        tokens_per_parameter: Tokens for each parameter of the model, embeddings counted. About 20 makes the
            best use of a given amount of compute (Hoffmann et al. 2022); models made to be used are trained
            far longer.
        minutes: Wall-clock from the first step to the end: validation, samples, instruments, checkpoints and
            compilation included, pauses by command left out. A few steps are timed before the start for an
            estimate of their number; the clock revises it at a handful of steps (recorded; a resumed run repeats
            them), and the learning rate's schedule goes faster or slower from there on, without a jump.
    """

    steps: int | None = None
    tokens: float | None = None
    tokens_per_parameter: float | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        given = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        choices = ", ".join(f"horizon.{f.name}" for f in fields(self))
        problems = [
            f"horizon.{name} is {value}: give a number above 0"
            for name, value in given.items()
            if not (math.isfinite(value) and value > 0)
        ]
        if not given:
            problems.append(f"horizon: the length of the run is not set: give one of {choices}")
        if len(given) > 1:
            both = " and ".join(f"{name}={value:g}" for name, value in given.items())
            problems.append(f"horizon: {both} contradict each other; set exactly one of {choices}")
        if problems:
            raise ValueError("\n".join(problems))


@dataclass(frozen=True)
class Done:
    """What a run has behind it where it goes on: optimizer steps, tokens, seconds of training."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0


def resolve_steps(
    config: HorizonConfig,
    tokens_per_step: int,
    n_parameters: int,
    seconds_per_step: float | None = None,
    done: Done = Done(),
) -> tuple[int, str]:
    """The number of optimizer steps of the whole run, and a sentence that says how it came about.

    Tokens are rounded up to whole steps, minutes down. Steps, tokens and minutes count from the beginning of a run (a
    fork's from that of the run it comes from), whatever a step held before. Of minutes it is an estimate, which `Pace`
    revises while the run trains.

    Args:
        tokens_per_step: Tokens one optimizer step learns from, over all micro-batches and processes.
        n_parameters: All parameters of the model.
        seconds_per_step: Measured on this machine; only for `minutes`, which raises ValueError without it or
            where not one step fits.
        done: Of a run that goes on.
    """
    why, wanted = "", config.tokens
    if config.tokens_per_parameter is not None:
        wanted = config.tokens_per_parameter * n_parameters
        why = f"{config.tokens_per_parameter:g} tokens for each of {short(n_parameters)} parameters asked for"
    if config.steps is not None:
        steps = config.steps
    elif wanted is not None:
        steps = done.steps + max(0, math.ceil((wanted - done.tokens) / tokens_per_step))
        why = why or f"{short(wanted)} tokens asked for"
    else:
        assert config.minutes is not None
        steps, why = _steps_of_minutes(config.minutes, seconds_per_step, done)
    tokens = done.tokens + (steps - done.steps) * tokens_per_step
    if tokens > MOST_TOKENS:
        raise ValueError(f"the horizon comes to {tokens:.3g} tokens, more than the {MOST_TOKENS:.0e} a run can count")
    number = f"{steps:,} {'step' if steps == 1 else 'steps'}"
    number += f", those from step {done.steps:,} on" if done.tokens != done.steps * tokens_per_step else ""
    length = f"{short(tokens)} tokens, {short(tokens / n_parameters)} per parameter"
    sentence = f"{number} of {tokens_per_step:,} tokens: {length}"
    return steps, f"{sentence} ({why})" if why else sentence


def _steps_of_minutes(minutes: float, seconds_per_step: float | None, done: Done) -> tuple[int, str]:
    if seconds_per_step is None:
        raise ValueError(f"horizon.minutes is {minutes:g}, but the time of a step on this machine was not measured")
    left = 60 * minutes - done.seconds
    steps = done.steps + max(0, math.floor(left / (1 + BESIDE) / seconds_per_step))
    if steps < 1 and left < seconds_per_step:
        raise ValueError(
            f"horizon.minutes is {minutes:g}, but a step takes {seconds_per_step / 60:.1f} minutes"
            " here: give more minutes, or make the step smaller (data.tokens_per_step)"
        )
    gone = f", {done.seconds / 60:.2g} of them gone" if done.seconds else ""
    return max(1, steps), (
        f"an estimate: {minutes:g} minutes by the clock at {1000 * seconds_per_step:.3g} ms a step and about"
        f" {BESIDE:.0%} for looks and checkpoints{gone}"
    )


class Pace:
    """How many steps still fit into the time of a run, from how long the newest took.

    Asked at a few shares of the time (`CHECKS`), where the rate begins to fall, and when the time is up: so a run has a
    handful of revisions, and each comes with enough steps behind it to tell. A step's seconds are those of the newest
    twentieth of the run, so that a neighbour who comes or goes counts at the next check; what looks and checkpoints
    take besides is their part of the time so far.

    Args:
        seconds: Wall-clock of the whole run.
        schedule: Of the learning rate, as it is for the planned steps.
    """

    def __init__(self, seconds: float, schedule: ScheduleConfig) -> None:
        self.seconds, self.schedule = seconds, schedule
        self._checked = 0.0
        self._steps = 0
        self._began = (0.0, 0.0)
        self._marks: deque[tuple[int, float]] = deque()

    def step_done(self, step: int, now: float, looks: float) -> None:
        """After each step: `now` are the seconds of the run so far, `looks` those of them that looks have taken."""
        self._steps += 1
        if self._steps < SETTLING:
            return
        own, window = now - looks, WINDOW * self.seconds
        if not self._marks:
            self._began, self._checked = (now, looks), now / self.seconds
        if not self._marks or own - self._marks[-1][1] >= window / MARKS or step < self._marks[-1][0]:
            self._marks.append((step, own))
        while len(self._marks) > 2 and self._marks[1][1] <= own - window:
            self._marks.popleft()

    def revised(self, course: Course, step: int, now: float, looks: float, end: float) -> Course | None:
        """The course from `step` on, where it is time to look and another than before; else None.

        `end`: seconds that the looks after the last step and the last checkpoint will take.
        """
        left, each = self.seconds - end - now, self._seconds_per_step(step, now, looks)
        if left <= 0:
            return course.revised(step, course.place(step), step + 1) if course.total > step + 1 else None
        share, falls = 1 - left / (self.seconds - end), course.planned - self.schedule.decay(course.planned)
        place = course.place(step)
        falling = self._passes(share, falls / course.planned) or place < falls <= course.place(step + 1)
        if each is None or not (falling or any(self._passes(share, check) for check in CHECKS)):
            return None
        self._checked = share
        n_steps, where = max(1, math.floor(left / each)), place
        if self.schedule.warmup(course.planned) <= place <= falls:  # the rate is constant there: by the clock then
            where = min(max(share * course.planned, self.schedule.warmup(course.planned)), falls)
        off = falling and abs(where - place) > LEAST * course.planned
        moved = abs(n_steps - (course.total - step)) * each > max(LEAST * self.seconds, SAME * left)
        return course.revised(step, where, step + n_steps) if off or moved else None

    def _passes(self, share: float, check: float) -> bool:
        return self._checked < check <= share

    def _seconds_per_step(self, step: int, now: float, looks: float) -> float | None:
        """With the looks' part in it; None before enough steps."""
        if not self._marks or step <= (first := self._marks[0])[0]:
            return None
        each = (now - looks - first[1]) / (step - first[0])
        past, weight = now - self._began[0], WEIGHT * self.seconds
        looked = looks - self._began[1]
        return each * (1 + (looked + BESIDE * weight) / (past - looked + weight))
