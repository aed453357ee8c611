"""Validation on a cadence of optimizer steps: before the first update, every n steps, and after the last one."""

from __future__ import annotations

import torch
from torch import Tensor

from lab.errors import SettingsError
from lab.runs.cadence import Cadence
from lab.training.callback import FitCallback, FitContext

PER_RUN = 20  # validations of a run where nothing is set: enough points for a curve, few enough to cost little


class Validation(FitCallback):
    """Measures the loss on held-out text while training goes on.

    Lightning counts validations in batches of a data loader and has none before the first step; here the loop is called
    when a step asks for it, so step 0 (the untrained model, whose loss should be ln(vocab_size)) and the last step are
    always on the curve.

    Args:
        every: Optimizer steps between validations; 0 switches validation off; unset: a twentieth of the run.
        at_start: Also validate the untrained model, at step 0.
    """

    def __init__(self, every: int | None = None, at_start: bool = True) -> None:
        self.every, self.at_start = every, at_start
        if problems := self.cadence.problems("validation.every", "for no validation"):
            raise ValueError("\n".join(problems))
        self._newest = -1
        self._trained: Tensor | None = None

    @property
    def cadence(self) -> Cadence:
        """When it validates, step 0 aside."""
        return Cadence(self.every, PER_RUN, at_most=True, early=False)

    def due(self, step: int, total_steps: int) -> bool:
        """Whether the model that has done `step` updates of `total_steps` is to be validated."""
        return self.cadence.due(step, total_steps) and (step > 0 or self.at_start)

    def start(self, fit: FitContext) -> None:
        """Step 0; on a resumed run, the validation that the interruption kept from happening; and the first that
        compares, where none measured before does.
        """
        due = self.due(fit.step, fit.total_steps) and self._newest != fit.step
        if due or (not fit.compares and self.every != 0):
            self.run(fit)

    def after_step(self, fit: FitContext) -> None:
        """After the update, when this step is due and the run is not being stopped."""
        if self.due(fit.step, fit.total_steps) and not fit.stopping:
            self.run(fit)

    def run(self, fit: FitContext) -> None:
        """One pass over the validation split."""
        self._trained = _mark(fit)
        fit.validate()
        self._trained, self._newest = None, fit.step

    def before_validation_batch(self, fit: FitContext) -> None:
        """The weights are those that are trained. Raises `SettingsError` where a callback has put others there."""
        if self._trained is not None and not torch.equal(self._trained, _mark(fit)):
            names = ", ".join(fit.trainer.own_callbacks)
            raise SettingsError(
                f"trainer.callbacks has {names}: at step {fit.step} other weights are validated than those that are"
                " trained, and one step would have two models; leave out what swaps them"
            )

    def state_dict(self) -> dict[str, int]:
        """The step of the newest validation, so that a resumed run neither skips nor repeats one."""
        return {"newest": self._newest}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take the newest validation's step back from a checkpoint."""
        self._newest = state_dict["newest"]


def _mark(fit: FitContext) -> Tensor:
    """Some numbers of every weight, as bits (NaN equals itself so): enough to tell two models of one run apart."""
    some = torch.cat([weight.detach().flatten()[:4].float() for weight in fit.model.parameters()]).cpu()
    return some.view(torch.int32)
