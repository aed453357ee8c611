"""How fast the training goes and what holds it up: time of a step, share of the peak, data, memory."""

from __future__ import annotations

from dataclasses import replace

from lab.callbacks.instrument import Instrument
from lab.model import flops_per_token
from lab.runs import metrics
from lab.runs.cadence import Cadence
from lab.training.callback import FitContext
from lab.training.machine import peak_memory
from lab.training.peaks import peak_flops


class Throughput(Instrument):
    """Measures speed, waiting for data, and memory.

    Logs `perf/step_seconds`, `perf/data_share`, `perf/memory_bytes`, and `perf/mfu` on devices whose peak is known.
    A step's time is what it waited for its batch and what it computed, to the end of its update: validation,
    checkpoints and instruments don't count. On a GPU the end of a step waits for the device anyway (the loss is
    read), so this is its time.

    Args:
        every: Optimizer steps between two lines; 0: none; None: a two-hundredth of the run.
    """

    group = "throughput"
    per_run = 200

    def __init__(self, every: int | None = None) -> None:
        super().__init__(every)
        self._computing = 0.0
        self._waiting = 0.0
        self._steps = 0

    @property
    def cadence(self) -> Cadence:
        """Evenly: speed does not change in the log-spaced way of learning."""
        return replace(super().cadence, early=False)

    def due(self, fit: FitContext, step: int) -> bool:
        """Not at step 1, which may have compiled."""
        return step > 1 and super().due(fit, step)

    def start(self, fit: FitContext) -> None:
        """Nothing is measured yet."""
        self._forget()

    def after_step(self, fit: FitContext) -> None:
        """The update is done; the callbacks after this one have not begun."""
        if self.every == 0:
            return
        waiting, computing = fit.looks.newest
        self._waiting, self._computing = self._waiting + waiting, self._computing + computing
        self._steps += 1
        if fit.step == 1:
            self._forget()
        self.look_if_due(fit)

    def look(self, fit: FitContext) -> None:
        """One line for the steps since the last one."""
        if not self._steps:
            return
        together = self._waiting + self._computing
        seconds = together / self._steps
        values = {
            metrics.PERF_STEP_SECONDS: seconds,
            metrics.PERF_DATA_SHARE: self._waiting / max(1e-12, together),
            metrics.PERF_MEMORY_BYTES: float(peak_memory(fit.module.device)),
        }
        peak = peak_flops(fit.module.device, fit.precision)
        if peak is not None:
            each = flops_per_token(fit.model.config, fit.data.context_length)
            done = float(each) * fit.data.tokens_per_step / fit.n_processes
            values[metrics.PERF_MFU] = done / seconds / peak
        self._forget()
        fit.logbook.log(fit.step, values)

    def _forget(self) -> None:
        self._computing = self._waiting = 0.0
        self._steps = 0
