"""The curve of a run: each step's loss, gradient norm, learning rate and speed, and how the run began and ended."""

from __future__ import annotations

from lab.runs import metrics
from lab.runs.cadence import Cadence
from lab.training.callback import FitCallback, FitContext
from lab.training.logbook import Logbook
from lab.training.step import StepBatch

MOST_LINES = 20_000  # of a run where nothing is set: a file that a browser loads at once


class MetricsLog(FitCallback):
    """Writes metrics.jsonl and run.json, and hands the same numbers to TensorBoard and Weights & Biases.

    Lightning's `self.log` costs 240 µs a value and keeps the last micro-batch only, so none of this goes through it.

    Args:
        every: Optimizer steps between two lines of metrics.jsonl; unset: 1, or more for a run above 20,000 steps.
        dashboards_every: Of these lines, every how many also go to TensorBoard and Weights & Biases.
    """

    def __init__(self, every: int | None = None, dashboards_every: int = 10) -> None:
        problems = []
        if every is not None and every < 1:
            problems.append(f"log.every is {every}: give a number of steps of at least 1")
        if dashboards_every < 1:
            problems.append(f"log.dashboards_every is {dashboards_every}: give a number of at least 1")
        if problems:
            raise ValueError("\n".join(problems))
        self.every = every
        self.dashboards_every = dashboards_every
        self._seconds_before = 0.0
        self._logbook: Logbook | None = None
        self._seconds, self._steps = 0.0, 0
        self._clipped, self._updates = 0, 0
        self._lines = 0

    def start(self, fit: FitContext) -> None:
        """Open the files at the step the training starts from, and time how long batches take to come."""
        vars(fit.data)["step_batch"] = fit.looks.waits(fit.data.step_batch)
        self._logbook = fit.logbook
        self._logbook.begin(fit.step, self._seconds_before, fit.trainer.loggers)

    def before_step(self, fit: FitContext, batch: StepBatch) -> None:
        """A step's time is its wait for the batch, and from here to the end of its update; looks lie outside."""
        fit.looks.step_begins()

    def after_step(self, fit: FitContext) -> None:
        """The update that made step n out of step n-1 measured its loss with n-1 steps done: that is its step."""
        fit.looks.step_ends()
        done = fit.step
        measured_at = done - 1
        if measured_at > 0:  # the first step pays for the allocator and for compilation
            seconds = sum(fit.looks.newest)
            self._seconds, self._steps = self._seconds + seconds, self._steps + 1
            fit.logbook.speed.step(fit.data.tokens_per_step, seconds)
        clip = fit.module.optimizer_config.clip
        self._updates += 1
        self._clipped += clip is not None and 0 < clip < fit.module.measured[metrics.TRAIN_GRAD_NORM]
        every = Cadence(self.every, MOST_LINES, at_most=True).steps(fit.total_steps)
        if measured_at % every and done < fit.total_steps:
            return
        logbook, values = fit.logbook, dict(fit.module.measured)
        if self._steps:
            values[metrics.PERF_TOKENS_PER_SECOND] = self._steps * fit.data.tokens_per_step / self._seconds
        if clip:
            values[metrics.TRAIN_CLIPPED] = self._clipped / self._updates
        self._seconds, self._steps, self._clipped, self._updates = 0.0, 0, 0, 0
        logbook.log(measured_at, values, dashboards=self._lines % self.dashboards_every == 0)
        self._lines += 1
        logbook.progress(done, {metrics.TRAIN_LOSS: values[metrics.TRAIN_LOSS]})

    def validated(self, fit: FitContext) -> None:
        """The validation's numbers."""
        fit.logbook.log(fit.step, fit.module.validated)
        fit.logbook.progress(fit.step, fit.module.validated)

    def end(self, fit: FitContext) -> None:
        """Leave the data as they were."""
        vars(fit.data).pop("step_batch", None)

    def state_dict(self) -> dict[str, float]:
        """Training seconds so far, for the time axis of a resumed run."""
        return {"seconds": self._logbook.clock.seconds() if self._logbook else self._seconds_before}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Training seconds of the processes before this one."""
        self._seconds_before = state_dict["seconds"]
