"""Where the run will end, forecast anew after each validation from its curve so far."""

from __future__ import annotations

from collections.abc import Sequence

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn

from lab.planning.curve import reforecast
from lab.planning.law import NotEnough, Trained
from lab.training.module import PretrainingModule
from lab.training.trainer import logbook_of


class Reforecast(Callback):
    """Logs `forecast/final_val_loss` with its 80 % interval, `forecast/low` and `forecast/high`, nats per token.

    From a fifth of the run on; costs microseconds.

    Args:
        finished: Trainings of the same recipe that are complete, a plan's ladder or earlier runs: how their loss still
            fell from where this run is now.
    """

    def __init__(self, finished: Sequence[Trained] = ()) -> None:
        self.finished = list(finished)
        self._curve: list[tuple[float, float]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """A resumed run has a curve already."""
        steps, losses = logbook_of(trainer).run.metrics().series("val/loss")
        self._curve = [(step / trainer.max_steps, loss) for step, loss in zip(steps, losses, strict=True)]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """After the journal has written the validation."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        assert isinstance(pl_module, PretrainingModule)
        logbook, part = logbook_of(trainer), trainer.global_step / trainer.max_steps
        self._curve.append((part, pl_module.validated["val/loss"]))
        try:
            found = reforecast(self._curve, self.finished)
        except NotEnough:
            return
        values = {"forecast/final_val_loss": found.value, "forecast/low": found.low, "forecast/high": found.high}
        logbook.log(trainer.global_step, values)
