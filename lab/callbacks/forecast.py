"""Where the run will end, forecast anew after each validation from its curve so far."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn

from lab.forecasting.curve import reforecast
from lab.forecasting.law import Forecast, NotEnough
from lab.training.module import PretrainingModule
from lab.training.schedules import lr_factor
from lab.training.trainer import logbook_of


class Reforecast(Callback):
    """Logs `forecast/final_val_loss` with its 80 % interval, `forecast/low` and `forecast/high`, nats per token.

    From a fifth of the run on; costs microseconds.

    Args:
        said: What the lab said of the final loss before the start.
    """

    def __init__(self, said: Forecast | None = None) -> None:
        self.said = said
        self._curve: list[tuple[float, float]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """A resumed run has a curve already."""
        steps, losses = logbook_of(trainer).run.metrics().series("val/loss")
        now = trainer.global_step
        self._curve = [(step / trainer.max_steps, loss) for step, loss in zip(steps, losses, strict=True) if step < now]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """After the journal has written the validation."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        assert isinstance(pl_module, PretrainingModule)
        step, total, schedule = trainer.global_step, trainer.max_steps, pl_module.schedule_config
        self._curve.append((step / total, pl_module.validated["val/loss"]))
        annealing = lr_factor(step, total, schedule) - lr_factor(total, total, schedule)
        try:
            found = reforecast(self._curve, self.said, annealing)
        except NotEnough:
            return
        values = {"forecast/final_val_loss": found.value, "forecast/low": found.low, "forecast/high": found.high}
        logbook_of(trainer).log(step, values)
