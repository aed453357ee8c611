"""A run in minutes: its number of steps follows the clock while it trains."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lab import figures
from lab.callbacks.validation import Validation
from lab.data.dataset import LabData
from lab.training.callback import FitContext
from lab.training.deciding import Deciding
from lab.training.horizon import DECIDES_STEPS, Pace
from lab.training.module import PretrainingModule
from lab.training.schedules import Course, lr_factor
from lab.units import duration

POINTS = 500  # steps drawn in schedule.png
DRAWING = 0.005  # of the run's seconds: what a picture may take to be drawn anew while it trains


class Minutes(Deciding):
    """Revises the number of steps of a run whose horizon is in minutes, so that it ends when they are over.

    Everything between the first step and the end counts (looks, samples, checkpoints, compilation), in earlier
    processes of the run too; a pause by command does not, and neither do steps that are done twice after a crash. When
    and how it decides is `lab.training.horizon.Pace`'s; what is decided is a `Course` through the schedule. run.json
    has it in its details, for the pictures.

    Args:
        minutes: The horizon; None: it is in something else, and nothing is decided.
    """

    what = "horizon"
    settings = DECIDES_STEPS

    def __init__(self, minutes: float | None = None) -> None:
        super().__init__()
        self.seconds = None if minutes is None else 60 * minutes
        self._pace: Pace | None = None
        self._drawing = 0.5  # seconds, as long as none was drawn

    def start(self, fit: FitContext) -> None:
        """What was decided before holds."""
        fit.module.course = None
        if self.seconds is not None:
            fit.module.course = Course(fit.logbook.seams.last.total_steps or fit.total_steps)
            fit.logbook.ends_at = self.seconds
            self._pace = Pace(self.seconds, fit.module.schedule_config)
        if self.seconds is not None or fit.logbook.run.status().details.get("course"):
            fit.logbook.status.update(details={"course": None})
        super().start(fit)

    def after_step(self, fit: FitContext) -> None:
        """Take the time of the step, whether or not something is decided here."""
        if self._pace is not None:
            self._pace.step_done(fit.step, *self._times(fit))
        super().after_step(fit)

    def decide(self, fit: FitContext) -> tuple[Any, str] | None:
        """Another number of steps, where it is time to look and the clock says so."""
        course = fit.module.course
        if self._pace is None or course is None or self.seconds is None:
            return None
        now, looks = self._times(fit)
        found = self._pace.revised(course, fit.step, now, looks, self._end_seconds(fit))
        if found is None:
            return None
        what = f"{found.total:,} steps instead of {course.total:,}"
        if found.total == course.total:
            what = "on with the schedule by the clock"
        return found.as_plain(), f"{what}, to end in {duration(max(0.0, self.seconds - now))}"

    def apply(self, fit: FitContext, value: Any) -> None:
        """The run has another number of steps, and goes through its schedule accordingly."""
        course = Course.parse(value)
        if course is None:
            raise ValueError(f"events.jsonl: a decision about the horizon holds {value!r}, which is no course")
        fit.module.course = course
        fit.total_steps = course.total
        fit.logbook.status.update(details={"course": course.as_plain()})
        if self._drawing <= DRAWING * (self.seconds or 0.0):
            self._draw(fit)

    def end(self, fit: FitContext) -> None:
        """The schedule as the run went through it."""
        if self.held is not None and fit.is_main_process:
            self._draw(fit)

    def _draw(self, fit: FitContext) -> None:
        begin = time.monotonic()
        try:
            draw_schedule(fit.module, fit.total_steps, fit.data, fit.logbook.run.path / "schedule.png")
        except Exception as error:
            fit.logbook.failure("schedule.png", fit.step, error)
        self._drawing = time.monotonic() - begin

    def _times(self, fit: FitContext) -> tuple[float, float]:
        """Seconds of the run so far, and those of them that looks have taken."""
        return fit.logbook.clock.seconds(), sum(fit.looks.seconds.values())

    def _end_seconds(self, fit: FitContext) -> float:
        """What the looks after the last step will take: each is due there, and validation reads the whole split."""
        validation = fit.find(Validation)
        others = sum(fit.looks.each(name) for name in fit.looks.seconds if name != Validation.what)
        return others + (validation.end_seconds(fit) if validation else 0.0)


def draw_schedule(module: PretrainingModule, total_steps: int, data: LabData, path: str | Path) -> None:
    """Draw the learning rate over a run of `total_steps`, or over its course, as a picture under `path`."""
    schedule, course = module.schedule_config, module.course
    every = max(1, total_steps // POINTS)
    steps = sorted({*range(0, total_steps, every), total_steps - 1})
    factors = [lr_factor(step, total_steps, schedule, course=course) for step in steps]
    figure = figures.draw_schedule(
        steps,
        {name: [lr * f for f in factors] for name, lr in module.optimizer_config.learning_rates().items()},
        phases=schedule.phases(total_steps, course),
        tokens_per_step=data.tokens_per_step,
    )
    figure.savefig(path, dpi=120)
