"""Applies the diagnosis rules during training; reports each finding once."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace

import lightning as L

from lab.callbacks.instrument import Instrument
from lab.diagnosis import Evidence, Finding, Monitor, cadence, limits
from lab.runs import EventReader, MetricsReader
from lab.runs.facts import Facts
from lab.training.module import PretrainingModule
from lab.training.step import NonFiniteLoss
from lab.training.trainer import logbook_of


class Diagnose(Instrument):
    """Applies the rules of `lab.diagnosis`; what they find becomes a `finding` event and a line on the screen.

    It reads what the other instruments have written, the run's own metrics.jsonl, and nothing else: a few hundred
    microseconds an examination. `python -m lab diagnose RUN` does the same afterwards.

    Args:
        every: Optimizer steps between examinations after the log-spaced start; 0: none; None: a hundredth of the run.
        thresholds: Thresholds of one's own by name; `python -m lab diagnose --thresholds` lists them.
    """

    group = "doctor"
    per_run = 100

    def __init__(self, every: int | None = None, thresholds: dict[str, float] | None = None) -> None:
        problems = self.problems(every)
        try:
            limits(thresholds)
        except ValueError as error:
            problems += str(error).splitlines()
        if problems:
            raise ValueError("\n".join(problems))
        super().__init__(every)
        self.thresholds = thresholds
        self._monitor: Monitor | None = None

    def cadence(self, trainer: L.Trainer) -> int:
        """That of `lab.diagnosis`, so that a diagnosis afterwards finds the same at the same steps."""
        return self.every or cadence(trainer.max_steps)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Read what there is of the run: nothing, or what an earlier process has trained."""
        if self.every != 0 and trainer.is_global_zero:
            run = logbook_of(trainer).run
            self._metrics, self._events = MetricsReader(run), EventReader(run)
            facts = replace(Facts.of(run), total_steps=trainer.max_steps)
            self._monitor = Monitor(Evidence(facts), self.thresholds)
            events = self._events.poll().events
            self._monitor.recall(events)
            self._monitor.evidence.events += events
        super().on_train_start(trainer, pl_module)

    def look(self, trainer: L.Trainer, module: PretrainingModule, step: int) -> None:
        """Examine, and report what is new."""
        if self._monitor is None:
            return
        self._monitor.evidence.apply(self._metrics.poll(), self._events.poll().events)
        for finding in self._monitor.examine(step):
            logbook_of(trainer).event("finding", step, **finding.payload())
            say(trainer, line(finding))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Once more, with the last validation."""
        if self.every != 0 and trainer.is_global_zero and isinstance(pl_module, PretrainingModule):
            try:
                self.look(trainer, pl_module, trainer.global_step)
            except Exception as error:
                self.failed(trainer, trainer.global_step, error)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """A number that is not finite ends a run before anything logs it."""
        if self._monitor is None or not isinstance(exception, NonFiniteLoss):
            return
        with contextlib.suppress(Exception):  # the run fails for a reason of its own: that one is to be seen
            self._monitor.evidence.events.append({"kind": "failed", "message": str(exception)})
            self.look(trainer, pl_module, trainer.global_step)  # type: ignore[arg-type]


def line(finding: Finding) -> str:
    """A finding in one line."""
    remedy = f"; try {finding.tries[0]}" if finding.tries and finding.ended is None and finding.level != "note" else ""
    return f"{finding.level} at step {finding.step:,}: {finding.what} ({finding.rule}){remedy}"


def say(trainer: L.Trainer, text: str) -> None:
    """A line above the progress bar."""
    bar = trainer.progress_bar_callback
    if bar is not None:
        bar.print(text)
    else:
        print(text, file=sys.stderr)
