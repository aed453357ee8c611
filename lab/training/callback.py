"""The lab's callbacks: what they see of a fit, when they are called, and how Lightning calls them.

A `FitCallback` gets a `FitContext`, whose parts have types, and no trainer. Lightning's own callbacks (a user's, under
`trainer.callbacks`) act between those that measure and those that save.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import lightning as L
import numpy as np
import torch
from torch import Tensor

from lab.data.datamodule import LabDataModule
from lab.model import GPT
from lab.model.reference import reference_loss
from lab.training.checkpoint_io import LabCheckpointIO
from lab.training.logbook import Logbook
from lab.training.looking import BrokenOff, LookTimes
from lab.training.module import PretrainingModule
from lab.training.step import StepBatch
from lab.training.stopping import StoppableTrainer
from lab.training.validating import WindowSums, measured, window_losses

Kind = TypeVar("Kind", bound="FitCallback")


class FitContext:
    """A fit while it runs: what is trained, on which data, where it is written down, how far it is.

    Args:
        trainer: Lightning's, for this fit.
        module: What is trained.
        data: What it learns from.
        logbook: What writes the run directory.
        callbacks: The lab's, in the order in which they act.
        say: Shows a line to the user; unset: on stderr.
        compares: Whether losses measured before the start compare with those from now on: not those of another run, or
            of another held-out text.
    """

    def __init__(
        self,
        trainer: StoppableTrainer,
        module: PretrainingModule,
        data: LabDataModule,
        logbook: Logbook,
        callbacks: Iterable[FitCallback] = (),
        say: Callable[[str], None] | None = None,
        *,
        compares: bool = True,
    ) -> None:
        self.trainer, self.module, self.data, self.logbook = trainer, module, data, logbook
        self.callbacks, self.compares = tuple(callbacks), compares
        self.say = say or (lambda text: print(text, file=sys.stderr))
        self.cache: dict[str, Any] = {}
        """What instruments share at one step; emptied before the next."""
        self.looks = LookTimes()
        """What looks and steps have taken, and how often a look is left out."""
        self.interrupted: Callable[[], bool] = lambda: False
        """Whether a signal has come, and the run is to be saved within seconds: looks are left out, or broken off."""

    @property
    def model(self) -> GPT:
        """The network."""
        return self.module.model

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.trainer.global_step

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.trainer.max_steps

    @total_steps.setter
    def total_steps(self, steps: int) -> None:
        """The run is to have so many from now on: for the loop, run.json and all who ask here."""
        self.trainer.fit_loop.epoch_loop.max_steps = self.logbook.total_steps = steps
        self.logbook.status.update(total_steps=steps)

    @property
    def is_main_process(self) -> bool:
        """Whether this is the process that writes: the only one, or the first of several."""
        return self.trainer.is_global_zero

    @property
    def n_processes(self) -> int:
        """Processes that train together."""
        return self.trainer.world_size

    @property
    def precision(self) -> str:
        """By Lightning's name, such as `bf16-mixed`."""
        return str(self.trainer.precision)

    @property
    def stopping(self) -> bool:
        """Whether the training ends with this step, before its last one."""
        return self.trainer.should_stop

    @property
    def between_steps(self) -> bool:
        """Whether no step is half done: the weights, and what the optimizer knows, are those of `step`."""
        batches: Any = self.trainer.fit_loop.epoch_loop.batch_progress.current
        return batches.started == batches.processed

    def stop(self, why: str) -> None:
        """End the training with the step that was just done; `why` completes "stopped at step 7 …"."""
        self.trainer.stop(why)

    def validate(self, part: np.ndarray | None = None) -> None:
        """One pass over the validation split, as Lightning's own loop would do it; `module.validated` then has it.

        Args:
            part: The numbers of the sequences to read; None: all.

        Raises `BrokenOff` where a callback has ended it before its end.
        """
        # The validation loop borrows the trainer's note of which batch is being logged; the training loop needs it.
        connector, hook = self.trainer._logger_connector, self.module._current_fx_name
        first_loop_iter = connector._first_loop_iter
        self.trainer.validating = True
        self.data.val_part = part
        loop = self.trainer.fit_loop.epoch_loop.val_loop
        loop.restarting = False  # after a checkpoint was loaded it would go on where that one's validation was
        loop._combined_loader = None  # its length is that of another part
        try:
            loop.run()
        except BrokenOff:
            loop._on_evaluation_model_train()
            self.module._current_fx_name = hook
            raise
        finally:
            self.data.val_part = None
            self.trainer.training = True
            connector._first_loop_iter = first_loop_iter

    @torch.no_grad()
    def loss_of(self, weights: Mapping[str, Tensor]) -> dict[str, float] | None:
        """What a validation of other weights measures on the whole split, told to no callback; the model's own are put
        back. None where a signal ends it.
        """
        own = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        self.module.load_state_dict(dict(weights))
        self.module.eval()
        sums = WindowSums(self.module.device)
        try:
            for tokens, targets in self.data.val_dataloader():
                if self.interrupted():
                    return None
                with self.trainer.precision_plugin.val_step_context():
                    device = self.module.device
                    sums.add(*window_losses(self.model, tokens.to(device), targets.to(device)))
        finally:
            self.module.load_state_dict(own)
            self.module.train()
        return measured(sums, self.data)

    def facts(self) -> dict[str, Any]:
        """What is noted beside weights written now, their loss on a fixed slice of validation text included."""
        text = torch.from_numpy(self.data.sequences.val_stream(self.model.config.context_length + 1))
        return {
            "tokens": self.logbook.seams.tokens_at(self.step),
            "sequences": self.data.sequence_at(self.step),
            "losses": self.module.losses_at(self.step),
            "model_config": asdict(self.model.config),
            "probe_loss": reference_loss(self.model, text),
        }

    @property
    def checkpoint_io(self) -> LabCheckpointIO:
        """What writes checkpoint files."""
        writer = self.trainer.strategy.checkpoint_io
        assert isinstance(writer, LabCheckpointIO)
        return writer

    def save(self, path: Path) -> None:
        """Write everything that a run needs to go on exactly."""
        self.trainer.save_checkpoint(path)

    def find(self, kind: type[Kind]) -> Kind | None:
        """The lab's callback of a kind; None where there is none."""
        return next((callback for callback in self.callbacks if isinstance(callback, kind)), None)


class FitCallback:
    """Acts at moments of a fit; each method is one, and does nothing here. Only those a class defines are called."""

    acts_last: ClassVar[bool] = False
    """After the user's own callbacks: what saves must hold what they have done at this step."""

    def start(self, fit: FitContext) -> None:
        """Weights, optimizer and this callback's state are loaded; the next step comes first."""

    def before_step(self, fit: FitContext, batch: StepBatch) -> None:
        """The batch is here."""

    def before_update(self, fit: FitContext) -> None:
        """Gradients are whole, unscaled and not yet clipped."""

    def after_step(self, fit: FitContext) -> None:
        """The update is done and counted."""

    def before_validation_batch(self, fit: FitContext) -> None:
        """The model is about to read a batch of the validation split."""

    def validated(self, fit: FitContext) -> None:
        """`fit.module.validated` is new."""

    def end(self, fit: FitContext) -> None:
        """The last step is done, or the run was stopped."""

    def failed(self, fit: FitContext, error: BaseException) -> None:
        """An exception ends the fit."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state back."""


HOOKS = {
    "start": "on_train_start",
    "before_step": "on_train_batch_start",
    "before_update": "on_before_optimizer_step",
    "after_step": "on_train_batch_end",
    "before_validation_batch": "on_validation_batch_start",
    "validated": "on_validation_end",
    "end": "on_train_end",
    "failed": "on_exception",
}
"""The lab's moments → Lightning's hooks."""
WITH_ARGUMENT = ("before_step", "failed")  # which get a batch, an error


class LightningAdapter(L.Callback):
    """One of the lab's callbacks as Lightning calls it; has only those hooks that the callback defines."""

    def __init__(self, callback: FitCallback, fit: FitContext) -> None:
        self.callback, self.fit = callback, fit
        for moment, hook in HOOKS.items():
            if getattr(type(callback), moment) is not getattr(FitCallback, moment):
                setattr(self, hook, _calling(getattr(callback, moment), fit, moment in WITH_ARGUMENT))

    @property
    def state_key(self) -> str:
        """Its name in checkpoints and profiles."""
        return type(self.callback).__name__

    def state_dict(self) -> dict[str, Any]:
        """The callback's."""
        return self.callback.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The callback's."""
        self.callback.load_state_dict(state_dict)


def callbacks_of(trainer: L.Trainer) -> list[L.Callback]:
    """Lightning's list of callbacks, which can be changed until the fit begins."""
    callbacks: list[L.Callback] = getattr(trainer, "callbacks", [])
    return callbacks


def _calling(act: Callable[..., None], fit: FitContext, with_argument: bool) -> Callable[..., None]:
    if with_argument:
        return lambda trainer, module, argument, *_: act(fit, argument)
    return lambda *_: act(fit)


def attach(fit: FitContext) -> None:
    """Let Lightning call the lab's callbacks, around those that the trainer has already."""
    adapters = [LightningAdapter(callback, fit) for callback in fit.callbacks]
    first = [adapter for adapter in adapters if not adapter.callback.acts_last]
    last = [adapter for adapter in adapters if adapter.callback.acts_last]
    callbacks_of(fit.trainer)[:] = [*first, *callbacks_of(fit.trainer), *last]
