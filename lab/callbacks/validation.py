"""Validation on a cadence of optimizer steps: before the first update, every n steps, and after the last one."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import Callback

from lab.training.module import PretrainingModule

PER_RUN = 20
"""Without a setting, a run is validated this many times: enough points for a curve, few enough to cost little."""


class Validation(Callback):
    """Measures the loss on held-out text while training goes on.

    Lightning counts validations in batches of a data loader and has none before the first step; here the loop is called
    when a step asks for it, so step 0 (the untrained model, whose loss should be ln(vocab_size)) and the last step are
    always on the curve.

    Args:
        every: Optimizer steps between validations; 0 switches validation off; unset: a twentieth of the run.
        at_start: Also validate the untrained model, at step 0.
    """

    def __init__(self, every: int | None = None, at_start: bool = True) -> None:
        if every is not None and every < 0:
            raise ValueError(f"validation.every is {every}: give a number of steps, or 0 for no validation")
        self.every = every
        self.at_start = at_start
        self._newest = -1

    def due(self, step: int, total_steps: int) -> bool:
        """Whether the model that has done `step` updates of `total_steps` is to be validated."""
        every = self.cadence(total_steps)
        if every == 0:
            return False
        if step == 0:
            return self.at_start
        return step % every == 0 or step >= total_steps

    def cadence(self, total_steps: int) -> int:
        """Steps between two validations; 0: none."""
        return -(-total_steps // PER_RUN) if self.every is None else self.every

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Step 0; or, on a resumed run, the validation that the interruption kept from happening."""
        if self._newest != trainer.global_step and self.due(trainer.global_step, trainer.max_steps):
            self.run(trainer)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """After the update, when this step is due and nobody has asked the run to stop."""
        if self.due(trainer.global_step, trainer.max_steps) and not trainer.should_stop:
            self.run(trainer)

    def run(self, trainer: L.Trainer) -> None:
        """One pass over the validation loader, as Lightning's own loop would do it."""
        module = trainer.lightning_module
        assert isinstance(module, PretrainingModule)
        # The validation loop borrows the trainer's note of which batch is being logged; the training loop needs it.
        connector = trainer._logger_connector
        first_loop_iter = connector._first_loop_iter
        trainer.validating = True
        trainer.fit_loop.epoch_loop.val_loop.run()
        trainer.training = True
        connector._first_loop_iter = first_loop_iter
        self._newest = trainer.global_step

    def state_dict(self) -> dict[str, int]:
        """The step of the newest validation, so that a resumed run neither skips nor repeats one."""
        return {"newest": self._newest}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take the newest validation's step back from a checkpoint."""
        self._newest = state_dict["newest"]
