"""The training recipe: what one optimizer step does, and what one validation measures.

One Lightning batch is one whole optimizer step: `[accumulation, batch, pos]` tokens and targets. The micro-batches are
looped over here (manual optimisation), so "batch index", "optimizer step" and "the data of batch n" are one number,
a checkpoint never falls between two micro-batches, and a validation every n means n steps.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any

import lightning as L
import torch
from lightning.pytorch.strategies import ParallelStrategy
from torch import Tensor

from lab.data.dataset import LabData
from lab.model import GPT, GPTConfig
from lab.runs import metrics
from lab.training.optimizers import OptimizerConfig, adopt_hyperparameters, build_optimizer
from lab.training.schedules import Course, Rise, ScheduleConfig, lr_factor
from lab.training.step import StepBatch, refuse_non_finite, step_seed, take_step
from lab.training.validating import WindowSums, measured, window_losses


class PretrainingModule(L.LightningModule):
    """Next-token pretraining of a GPT: the loss, the update, the learning rate of each step, the validation.

    The learning rate is a pure function of the step (`lab.training.schedules`), and so is the random state (dropout)
    of each step, seeded from (seed, step): a resumed run continues bit for bit, whatever ran between two steps.

    Args:
        config: The network (`lab.model.GPTConfig`); `vocab_size` comes from the data.
        optimizer: Which optimizer, its learning rate, weight decay and gradient clipping.
        schedule: How the learning rate moves over the run.
    """

    def __init__(self, config: GPTConfig, optimizer: OptimizerConfig, schedule: ScheduleConfig) -> None:
        super().__init__()
        # Checkpoints hold plain types only (`weights_only=True`), so what comes back from one is a dict.
        self.config = GPTConfig(**config) if isinstance(config, dict) else config
        self.optimizer_config = OptimizerConfig(**optimizer) if isinstance(optimizer, dict) else optimizer
        self.schedule_config = ScheduleConfig(**schedule) if isinstance(schedule, dict) else schedule
        self.save_hyperparameters(
            {
                "config": asdict(self.config),
                "optimizer": asdict(self.optimizer_config),
                "schedule": asdict(self.schedule_config),
            },
            logger=False,
        )
        self.automatic_optimization = False
        self.model = GPT(self.config)

        self.seed = 0
        self.lr_scale = 1.0
        """A factor on the whole schedule, set by hand while the run trains."""
        self.rise: Rise | None = None
        """Where the run went on at another rate than it had."""
        self.course: Course | None = None
        """How a run in minutes goes through its schedule; None: step by step."""
        self.measured: dict[str, float] = {}
        """What the newest step measured: `train/loss` (nats per token), `train/grad_norm` (unclipped), `train/lr`."""
        self.validated: dict[str, float] = {}
        """What was measured of the newest weights validated, on the subset, on the whole split or on both (`val/…`)."""
        self.validated_at = -1
        """Optimizer steps done at that validation."""
        self.on_micro_batch: Callable[[int], None] | None = None
        """Called after the backward pass of each micro-batch with its number; gradients hold the sum so far."""
        self._sums = WindowSums(torch.device("cpu"))

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits `[batch, pos, vocab_size]` of int64 tokens `[batch, pos]`."""
        return self.model(tokens)

    # ---------------------------------------------------------------- one step

    def lr_factor_at(self, step: int) -> float:
        """What the optimizer's base learning rates are multiplied with at `step`: schedule times the hand-set scale."""
        return self.lr_scale * self.scheduled(step)

    def scheduled(self, step: int) -> float:
        """The schedule's part of it."""
        return lr_factor(step, self.trainer.max_steps, self.schedule_config, self.rise, self.course)

    def training_step(self, batch: StepBatch, batch_idx: int) -> None:
        """One optimizer step, as Lightning asks for it."""
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        self.learn(batch, self.manual_backward, optimizer.step)

    def learn(self, batch: StepBatch, backward: Callable[[Tensor], Any], update: Callable[[], Any]) -> None:
        """One optimizer step (`lab.training.step`), whose numbers are then in `measured`.

        Args:
            batch: Tokens and targets, int64 `[accumulation, batch, pos]`.
            backward: Given a loss, adds its gradient to the parameters' `grad`.
            update: Calls `on_before_optimizer_step`, updates the weights and counts the step.
        """
        step = self.trainer.global_step

        def clip_and_update(clip_gradients: Callable[[], None]) -> None:
            self._clip_gradients = clip_gradients
            update()

        def read(name: str, value: Tensor) -> float:
            # With a scaler infinite gradients are routine: it skips the step and halves its scale.
            may_overflow = name == metrics.TRAIN_GRAD_NORM and self.loss_scale is not None
            return float(value) if may_overflow else refuse_non_finite(name, value, step)

        self.measured = take_step(
            self.model,
            self.torch_optimizer(),
            batch,
            seed=step_seed(self.seed, step, self.global_rank),
            lr_factor=self.lr_factor_at(step),
            clip=self.optimizer_config.clip,
            backward=backward,
            update=clip_and_update,
            context=self._gradient_sync,
            read=read,
            after_micro_batch=self.on_micro_batch,
        )
        if (scale := self.loss_scale) is not None:
            self.measured[metrics.TRAIN_LOSS_SCALE] = scale

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip by global norm. Here gradients are already unscaled, in fp16 too."""
        self._clip_gradients()

    def _gradient_sync(self, last: bool) -> AbstractContextManager[Any]:
        """Across processes gradients are averaged once a step, in the last micro-batch's backward pass."""
        strategy = self.trainer.strategy
        if last or not isinstance(strategy, ParallelStrategy):
            return nullcontext()
        return strategy.block_backward_sync()

    @property
    def loss_scale(self) -> float | None:
        """What fp16's losses and gradients are multiplied with; None in other precisions."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        return None if scaler is None else float(scaler.get_scale())

    # ---------------------------------------------------------------- optimizer

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The one optimizer; no scheduler object, because the learning rate is a function of the step."""
        return build_optimizer(self.model, self.optimizer_config)

    def torch_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer itself, not wrapped by Lightning."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    def on_train_start(self) -> None:
        """A restored optimizer brings its old hyperparameters along; the configuration's win."""
        adopt_hyperparameters(self.torch_optimizer(), self.optimizer_config)

    # ---------------------------------------------------------------- validation

    def on_validation_epoch_start(self) -> None:
        """Start the sums from nothing."""
        self._sums = WindowSums(self.device)

    def validation_step(self, batch: StepBatch, batch_idx: int) -> None:
        """Add one batch's windows; targets `[batch, pos]` of -1 are padding."""
        self._sums.add(*window_losses(self.model, *batch))

    def on_validation_epoch_end(self) -> None:
        """The mean loss per token and its standard error, under the name of what was read (`lab.runs.metrics`)."""
        self._sums.values = self.trainer.strategy.reduce(self._sums.values, reduce_op="sum")
        data = getattr(self.trainer, "datamodule", None)
        found = measured(self._sums, data if isinstance(data, LabData) else None)
        before = self.validated if self.validated_at == self.trainer.global_step else {}
        self.validated = before | found
        self.validated_at = self.trainer.global_step
        # For Lightning's own callbacks under `trainer.callbacks` (EarlyStopping, …); the lab's read `validated`.
        self.log_dict({k: torch.tensor(v, dtype=torch.float32) for k, v in found.items()}, logger=False)

    def losses_at(self, step: int) -> dict[str, float]:
        """What is known of the weights after `step` updates: the last training loss, and a validation of them."""
        losses = {k: v for k, v in self.measured.items() if k == metrics.TRAIN_LOSS}
        return losses | (self.validated if self.validated_at == step else {})
