"""One pass through the training loop without ceremony, where nobody is there to watch the ceremony.

Lightning's loop prepares each step for everything that could be plugged in: a profiler around every hook, results
that `self.log` may have collected, schedulers, accumulation, a validation, loggers to save. That is 0.2 to 1 ms a step
of pure Python, some per cent of a small model's step. A run of this lab uses none of it: a batch is a step, the rate is
a function of the step, validation is a callback's, the journal writes the curve.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loops.fetchers import _DataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from lab.training.module import PretrainingModule
from lab.training.trainer import LabTrainer

Hook = Callable[..., None]
LEFT_OUT = ("on_before_backward", "on_after_backward", "on_before_zero_grad")
"""What the short way does not call: whoever listens to one of these gets the long one."""


class StepLoop(_TrainingEpochLoop):
    """Lightning's loop, with the shortest way through a step for a run in which the lab is alone.

    The counters, the hooks' order and the losses, bit for bit, are those of Lightning's own way, which is taken as
    soon as a profiler, a callback from outside, a gradient scaler or a second device is there.

    Args:
        trainer: Whose loop this is.
        ours: The callbacks that may be called directly, in this order.
    """

    def __init__(self, trainer: LabTrainer, ours: Sequence[Callback]) -> None:
        before = trainer.fit_loop.epoch_loop
        super().__init__(trainer, before.min_steps, before.max_steps)
        self._ours = tuple(ours)
        self._alone = False

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        """Look who is there."""
        super().on_run_start(data_fetcher)
        trainer = self.trainer
        self._alone = (
            isinstance(trainer.lightning_module, PretrainingModule)
            and isinstance(trainer.profiler, PassThroughProfiler)
            and type(trainer.strategy) is SingleDeviceStrategy
            and getattr(trainer.precision_plugin, "scaler", None) is None
            and all(callback in self._ours for callback in trainer.callbacks)  # type: ignore[attr-defined]
            and not any(_listeners(self._ours, hook) for hook in LEFT_OUT)
        )
        self._starts = _listeners(self._ours, "on_train_batch_start")
        self._before_updates = _listeners(self._ours, "on_before_optimizer_step")
        self._ends = _listeners(self._ours, "on_train_batch_end")

    def advance(self, data_fetcher: _DataFetcher) -> None:
        """One step."""
        if not self._alone:
            return super().advance(data_fetcher)
        trainer, module = self.trainer, self.trainer.lightning_module
        assert isinstance(module, PretrainingModule)
        self.val_loop.restarting = False
        (tokens, targets), _, _ = next(data_fetcher)
        batch, n = (tokens.to(module.device), targets.to(module.device)), self.batch_idx + 1
        self.batch_progress.increment_ready()
        for hook in self._starts:
            hook(trainer, module, batch, n)
        module.on_train_batch_start(batch, n)
        self.batch_progress.increment_started()
        with trainer.precision_plugin.train_step_context():
            module.learn(batch, Tensor.backward, self._update)
        self.batch_progress.increment_processed()
        for hook in self._ends:
            hook(trainer, module, None, batch, n)
        self.batch_progress.increment_completed()

    def on_advance_end(self, data_fetcher: _DataFetcher) -> None:
        """Validation, schedulers and loggers have their turn in Lightning's way only."""
        if not self._alone:
            super().on_advance_end(data_fetcher)

    def _update(self) -> None:
        """What an optimizer wrapped by Lightning does: clip, update, count the step."""
        module, progress = self.trainer.lightning_module, self.manual_optimization.optim_step_progress
        optimizer = module.optimizers(use_pl_optimizer=False)
        progress.increment_ready()
        for hook in self._before_updates:
            hook(self.trainer, module, optimizer)
        module.on_before_optimizer_step(optimizer)
        optimizer.step()
        progress.increment_completed()


def _listeners(callbacks: Sequence[Callback], hook: str) -> list[Hook]:
    """The hooks that do something; those of the base class don't."""
    own: list[Any] = [getattr(callback, hook) for callback in callbacks]
    return [call for call in own if getattr(call, "__func__", None) is not getattr(Callback, hook)]
