"""What all instruments share: when they look, and that none of them can harm the training they look at.

An instrument looks after an update, when the metrics log has written its line; what it logs belongs to the step
`fit.step`. It draws from no global random state, leaves the model's mode as it was, and runs the uncompiled network;
so a run's losses are the same bits with it and without it.
"""

from __future__ import annotations

from typing import ClassVar

from lab.callbacks.dashboards import Dashboards
from lab.runs.cadence import Cadence
from lab.runs.events import PutOff
from lab.training.callback import FitCallback, FitContext
from lab.training.looking import BrokenOff
from lab.training.step import StepBatch


class Instrument(FitCallback):
    """A callback that looks at the model at steps 0, 1, 2, 4, 8, …, then at even distances, and after the last.

    A look that fails is named once in events.jsonl (`instrument_failed`) and tried again when it is next due.

    Args:
        every: Optimizer steps between looks after the log-spaced start; 0: never; None: `per_run` of them.
    """

    group: ClassVar[str]
    """Its group in the YAML."""
    per_run: ClassVar[int]
    """Looks of a run, beside the early ones, where `every` is not set."""
    least_steps: ClassVar[int] = 10
    """The fewest steps between two of these."""

    def __init__(self, every: int | None = None) -> None:
        if problems := self.problems(every):
            raise ValueError("\n".join(problems))
        self.every = every

    def problems(self, every: int | None) -> list[str]:
        """What is wrong with the cadence."""
        return Cadence(every, self.per_run).problems(f"{self.group}.every", "to switch it off")

    @property
    def cadence(self) -> Cadence:
        """When it looks."""
        return Cadence(self.every, self.per_run, self.least_steps)

    def look(self, fit: FitContext) -> None:
        """Measure, draw, write. May raise: `instrument_failed` then says what."""
        raise NotImplementedError

    def due(self, fit: FitContext, step: int) -> bool:
        """Whether to look at the weights after `step` updates."""
        return fit.is_main_process and self.planned(fit).due(step, fit.total_steps, fit.looks.nth.get(self.group, 1))

    def planned(self, fit: FitContext) -> Cadence:
        """When it looks in this run, as long as the budget leaves nothing out."""
        return self.cadence

    def draws(self, fit: FitContext, step: int) -> bool:
        """Whether a look at `step` may end in pictures."""
        return True

    def dashboards(self, fit: FitContext) -> Dashboards:
        """Where pictures, histograms and texts go."""
        return Dashboards(fit.logbook.loggers, fit.logbook.seams.tokens_at)

    def start(self, fit: FitContext) -> None:
        """Step 0; and the first step of a resumed run, whose dashboards have forgotten it."""
        self.look_if_due(fit)

    def before_step(self, fit: FitContext, batch: StepBatch) -> None:
        """Activations are shared by the instruments of one step, and let go before the next."""
        fit.cache.clear()

    def after_step(self, fit: FitContext) -> None:
        """After the update."""
        self.look_if_due(fit)

    def look_if_due(self, fit: FitContext) -> None:
        """Look, unless it is not the time, or a signal ends the run."""
        if self.due(fit, fit.step) and not fit.interrupted():
            self.look_safely(fit)

    def look_safely(self, fit: FitContext) -> None:
        """Look; never raises but for an interrupt."""
        try:
            with fit.looks.timed(self.group):
                self.look(fit)
        except BrokenOff as why:
            fit.logbook.event(PutOff(step=fit.step, look=self.group, reason=f"{self.group} broken off: {why}"))
        except Exception as error:
            fit.logbook.failure(self.group, fit.step, error)
