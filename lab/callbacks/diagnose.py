"""Applies the diagnosis rules during training; reports each finding once."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from lab.callbacks.instrument import Instrument
from lab.diagnosis import CADENCE, Evidence, Monitor, limits
from lab.errors import NonFiniteLoss
from lab.runs import EventReader, MetricsReader
from lab.runs.events import Failed, Finding
from lab.runs.facts import Facts
from lab.training.callback import FitContext


class Diagnose(Instrument):
    """Applies the rules of `lab.diagnosis`; what they find becomes a `finding` event and a line on the screen.

    It reads what the other instruments have written, the run's own metrics.jsonl, and nothing else: a few hundred
    microseconds an examination. `python -m lab diagnose RUN` does the same afterwards.

    Args:
        every: Optimizer steps between examinations after the log-spaced start; 0: none; None: a hundredth of the run.
        thresholds: Thresholds of one's own by name; `python -m lab diagnose --thresholds` lists them.
    """

    group = "doctor"
    per_run, least_steps = CADENCE.per_run, CADENCE.least  # so a diagnosis afterwards finds the same at the same steps

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

    def start(self, fit: FitContext) -> None:
        """Read what there is of the run: nothing, or what an earlier process has trained."""
        if self.every != 0 and fit.is_main_process:
            run = fit.logbook.run
            self._metrics, self._events = MetricsReader(run), EventReader(run)
            facts = replace(Facts.of(run), total_steps=fit.total_steps)
            self._monitor = Monitor(Evidence(facts), self.thresholds)
            events = self._events.poll().events
            self._monitor.recall(events)
            self._monitor.evidence.events += events
        super().start(fit)

    def look(self, fit: FitContext) -> None:
        """Examine, and report what is new."""
        if self._monitor is None:
            return
        evidence = self._monitor.evidence
        if evidence.facts.total_steps != fit.total_steps:  # of a run in minutes
            evidence.facts = replace(evidence.facts, total_steps=fit.total_steps)
        evidence.apply(self._metrics.poll(), self._events.poll().events)
        for finding in self._monitor.examine(fit.step):
            fit.logbook.event(finding)
            fit.say(line(finding))

    def end(self, fit: FitContext) -> None:
        """Once more, with the last validation."""
        if self.every != 0 and fit.is_main_process:
            self.look_safely(fit)

    def failed(self, fit: FitContext, error: BaseException) -> None:
        """A number that is not finite ends a run before anything logs it."""
        if self._monitor is None or not isinstance(error, NonFiniteLoss):
            return
        with contextlib.suppress(Exception):  # the run fails for a reason of its own: that one is to be seen
            self._monitor.evidence.events.append(Failed(message=str(error)))
            self.look(fit)


def line(finding: Finding) -> str:
    """A finding in one line."""
    remedy = f"; try {finding.tries[0]}" if finding.tries and finding.ended is None and finding.level != "note" else ""
    return f"{finding.level} at step {finding.step:,}: {finding.what} ({finding.rule}){remedy}"
