"""A faster training loop for runs with only the lab's callbacks: the same losses bit for bit, less bookkeeping.

Lightning's loop prepares each step for everything that could be plugged in: a profiler around every hook, results that
`self.log` may have collected, schedulers, accumulation, a validation, loggers to save: half of what a fit costs over a
bare loop (LOG.md). A run of this lab needs none of it: a batch is a step, the rate a function of the step, validation
is a callback's, the metrics log writes the curve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loops.fetchers import _DataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from lab.training.callback import LightningAdapter, callbacks_of
from lab.training.module import PretrainingModule


class StepLoop(_TrainingEpochLoop):
    """Lightning's loop, with a short way through a step where the lab's callbacks are the only ones.

    Counters, the order of hooks and losses are those of Lightning's own way, which is taken as soon as there is a
    profiler, another callback, a gradient scaler or a second device.
    """

    def __init__(self, trainer: L.Trainer) -> None:
        before = trainer.fit_loop.epoch_loop
        super().__init__(trainer, before.min_steps, before.max_steps)
        self.is_short = False
        """Whether this run takes the short way."""

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        """Choose the way."""
        super().on_run_start(data_fetcher)
        trainer, callbacks = self.trainer, callbacks_of(self.trainer)
        self.is_short = (
            isinstance(trainer.lightning_module, PretrainingModule)
            and isinstance(getattr(trainer, "profiler", None), PassThroughProfiler)
            and type(trainer.strategy) is SingleDeviceStrategy
            and getattr(trainer.precision_plugin, "scaler", None) is None
            and all(isinstance(callback, LightningAdapter) for callback in callbacks)
        )
        self._starts = _implementing(callbacks, "on_train_batch_start")
        self._before_updates = _implementing(callbacks, "on_before_optimizer_step")
        self._ends = _implementing(callbacks, "on_train_batch_end")

    def advance(self, data_fetcher: _DataFetcher) -> None:
        """One step."""
        if not self.is_short:
            return super().advance(data_fetcher)
        trainer, module = self.trainer, self.trainer.lightning_module
        assert isinstance(module, PretrainingModule)
        self.val_loop.restarting = False
        (tokens, targets), _, _ = next(data_fetcher)
        batch, n = (tokens.to(module.device), targets.to(module.device)), self.batch_idx + 1
        self.batch_progress.increment_ready()
        for hook in self._starts:
            hook(trainer, module, batch, n)
        self.batch_progress.increment_started()
        with trainer.precision_plugin.train_step_context():
            module.learn(batch, Tensor.backward, self._update)
        self.batch_progress.increment_processed()
        for hook in self._ends:
            hook(trainer, module, None, batch, n)
        self.batch_progress.increment_completed()

    def on_advance_end(self, data_fetcher: _DataFetcher) -> None:
        """Schedulers and loggers have their turn in Lightning's way only."""
        if not self.is_short:
            super().on_advance_end(data_fetcher)

    def _should_check_val_fx(self, data_fetcher: _DataFetcher) -> bool:
        """Never: a callback decides when to validate. Lightning would once more before it leaves early."""
        return False

    def _update(self) -> None:
        """What an optimizer wrapped by Lightning does: clip, update, count the step."""
        module, progress = self.trainer.lightning_module, self.manual_optimization.optim_step_progress
        assert isinstance(module, PretrainingModule)
        optimizer = module.torch_optimizer()
        progress.increment_ready()
        for hook in self._before_updates:
            hook(self.trainer, module, optimizer)
        module.on_before_optimizer_step(optimizer)
        optimizer.step()
        progress.increment_completed()


def _implementing(callbacks: list[Callback], name: str) -> list[Callable[..., Any]]:
    """The callbacks' hooks of this name that do something; those of the base class don't."""
    hooks = [getattr(callback, name) for callback in callbacks]
    return [hook for hook in hooks if getattr(hook, "__func__", None) is not getattr(Callback, name)]
