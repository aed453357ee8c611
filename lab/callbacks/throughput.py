"""How fast the training goes and what holds it up: time of a step, share of the peak, data, memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lab.callbacks.instrument import Instrument
from lab.model import flops_per_token
from lab.runs import metrics
from lab.runs.cadence import Cadence
from lab.training.callback import FitContext
from lab.training.machine import peak_memory
from lab.training.peaks import peak_flops
from lab.training.step import StepBatch


class Throughput(Instrument):
    """Measures speed, waiting for data, and memory.

    Logs `perf/step_seconds`, `perf/data_share`, `perf/memory_bytes`, and `perf/mfu` on devices whose peak is known.
    A step is timed from its batch's arrival to the end of its update: validation, checkpoints and instruments
    don't count. On a GPU the end of a step waits for the device anyway (the loss is read), so this is its time.

    Args:
        every: Optimizer steps between two lines; 0: none; None: a two-hundredth of the run.
    """

    group = "throughput"
    per_run = 200

    def __init__(self, every: int | None = None) -> None:
        super().__init__(every)
        self._since = 0.0
        self._training = 0.0
        self._loading = 0.0
        self._steps = 0

    @property
    def cadence(self) -> Cadence:
        """Evenly: speed does not change in the log-spaced way of learning."""
        return replace(super().cadence, early=False)

    def due(self, fit: FitContext, step: int) -> bool:
        """Not at step 1, which may have compiled."""
        return step > 1 and super().due(fit, step)

    def start(self, fit: FitContext) -> None:
        """Time how long batches take to come."""
        self._forget()
        if self.every != 0:
            vars(fit.data)["step_batch"] = self._timed(fit.data.step_batch)

    def end(self, fit: FitContext) -> None:
        """Leave the data as they were."""
        vars(fit.data).pop("step_batch", None)

    def _timed(self, fetch: Callable[[int], Any]) -> Callable[[int], Any]:
        def fetch_and_count(step: int) -> Any:
            begin = time.perf_counter()
            batch = fetch(step)
            self._loading += time.perf_counter() - begin
            return batch

        return fetch_and_count

    def before_step(self, fit: FitContext, batch: StepBatch) -> None:
        """The batch is here."""
        self._since = time.perf_counter()

    def after_step(self, fit: FitContext) -> None:
        """The update is done; the callbacks after this one have not begun."""
        if self.every == 0:
            return
        self._training += time.perf_counter() - self._since
        self._steps += 1
        if fit.step == 1:
            self._forget()
        self.look_if_due(fit)

    def look(self, fit: FitContext) -> None:
        """One line for the steps since the last one."""
        if not self._steps:
            return
        seconds = self._training / self._steps
        values = {
            metrics.PERF_STEP_SECONDS: seconds,
            metrics.PERF_DATA_SHARE: self._loading / max(1e-12, self._training + self._loading),
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
        self._training = self._loading = 0.0
        self._steps = 0
