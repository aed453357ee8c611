"""The training recipe: what one optimizer step does, and what one validation measures.

One Lightning batch is one whole optimizer step: `[accumulation, batch, pos]` tokens and targets. The micro-batches are
looped over here (manual optimisation), so "batch index", "optimizer step" and "the data of batch n" are one number,
a checkpoint never falls between two micro-batches, and a validation every n means n steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torchmetrics import SumMetric

from lab.model import GPT, GPTConfig
from lab.training.optimizers import (
    OptimizerConfig,
    adopt_hyperparameters,
    build_optimizer,
    grad_norm_and_clip,
    set_lr,
)
from lab.training.schedules import ScheduleConfig, lr_factor

StepBatch = tuple[Tensor, Tensor]


class NonFiniteLoss(RuntimeError):
    """Raised before the update that a NaN or infinite loss or gradient would have spoiled.

    The weights are still those of the step before, and so is the newest checkpoint.
    """

    def __init__(self, what: str, value: float, step: int) -> None:
        super().__init__(
            f"{what} is {value} at step {step} (batch {step}): stopped before the update, so weights and checkpoints"
            f" are those of step {step}. Look at the text with `python -m lab batch RUN {step}`; a lower learning rate,"
            " a longer warm-up, gradient clipping or fp32 precision are the usual cures."
        )
        self.what, self.value, self.step = what, value, step


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
        self.measured: dict[str, float] = {}
        """What the newest step measured: `train/loss` (nats per token), `train/grad_norm` (unclipped), `train/lr`."""
        self.validated: dict[str, float] = {}
        """What the newest validation measured: `val/loss`, `val/perplexity`, `val/bits_per_byte`."""
        self.validated_at = -1
        """Optimizer steps done at that validation."""
        self.on_micro_batch: Callable[[PretrainingModule, int], None] | None = None
        """Called after the backward pass of each micro-batch with its number; gradients hold the sum so far."""
        self._grad_norm = torch.zeros(())
        self.val_nats = SumMetric(nan_strategy="disable")
        self.val_count = SumMetric(nan_strategy="disable")

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits `[batch, pos, vocab_size]` of int64 tokens `[batch, pos]`."""
        return self.model(tokens)

    # ---------------------------------------------------------------- one step

    def lr_factor_at(self, step: int) -> float:
        """What the optimizer's base learning rates are multiplied with at `step`: schedule times the hand-set scale."""
        return self.lr_scale * lr_factor(step, self.trainer.max_steps, self.schedule_config)

    def on_train_batch_start(self, batch: StepBatch, batch_idx: int) -> None:
        """Random state and learning rate of this step, both functions of the step alone."""
        step = self.trainer.global_step
        seed_device(self.device, step_seed(self.seed, step, self.global_rank))
        set_lr(self._torch_optimizer(), self.lr_factor_at(step))

    def training_step(self, batch: StepBatch, batch_idx: int) -> None:
        """One optimizer step, as Lightning asks for it."""
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        self.learn(batch, self.manual_backward, optimizer.step)

    def learn(self, batch: StepBatch, backward: Callable[[Tensor], Any], update: Callable[[], Any]) -> None:
        """One optimizer step: the gradient of the mean loss over every counted target of all micro-batches.

        Each micro-batch contributes its *sum* of losses divided by the step's number of counted targets, so the result
        does not depend on how the step was cut into micro-batches.

        Args:
            batch: `(tokens, targets)`, int64 `[accumulation, batch, pos]`; targets of -1 don't count.
            backward: Given a loss, adds its gradient to the parameters' `grad`.
            update: Clips, updates the weights and counts the step.
        """
        tokens, targets = batch
        counted = (targets != -1).sum()
        loss = torch.zeros((), device=tokens.device)
        last = len(tokens) - 1
        for i in range(len(tokens)):
            with self._gradient_sync(i == last):
                nats = self.model.loss(tokens[i], targets[i], reduction="sum") / counted
                backward(nats)
            loss += nats.detach()
            if self.on_micro_batch is not None:
                self.on_micro_batch(self, i)
        value = self._refuse_non_finite("train/loss", loss)
        update()
        optimizer = self._torch_optimizer()
        optimizer.zero_grad()
        self.measured = {
            "train/loss": value,
            "train/grad_norm": float(self._grad_norm),
            "train/lr": optimizer.param_groups[0]["lr"],
        }
        if self._has_scaler():
            self.measured["train/loss_scale"] = float(self.trainer.precision_plugin.scaler.get_scale())  # type: ignore

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip by global norm. Here gradients are already unscaled, in fp16 too."""
        self._grad_norm = grad_norm_and_clip(self.model.parameters(), self.optimizer_config.clip)
        if (
            not self._has_scaler()
        ):  # with a scaler, infinite gradients are routine: it skips the step and halves its scale
            self._refuse_non_finite("train/grad_norm", self._grad_norm)

    def _refuse_non_finite(self, what: str, measured: Tensor) -> float:
        """The number, which the device is waited for once to read."""
        value = float(measured)
        if not math.isfinite(value):
            raise NonFiniteLoss(what, value, self.trainer.global_step)
        return value

    def _gradient_sync(self, last: bool) -> Any:
        """Across processes gradients are averaged once a step, in the last micro-batch's backward pass."""
        strategy = self.trainer.strategy
        if last or not hasattr(strategy, "block_backward_sync"):
            return torch.enable_grad()
        return strategy.block_backward_sync()

    def _has_scaler(self) -> bool:
        return getattr(self.trainer.precision_plugin, "scaler", None) is not None

    # ---------------------------------------------------------------- optimizer

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The one optimizer; no scheduler object, because the learning rate is a function of the step."""
        return build_optimizer(self.model, self.optimizer_config)

    def _torch_optimizer(self) -> torch.optim.Optimizer:
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return optimizer

    def on_train_start(self) -> None:
        """A restored optimizer brings its old hyperparameters along; the configuration's win."""
        adopt_hyperparameters(self._torch_optimizer(), self.optimizer_config)

    # ---------------------------------------------------------------- validation

    def on_validation_epoch_start(self) -> None:
        """Start the sums from nothing."""
        for total in (self.val_nats, self.val_count):
            # A split may hold 1e8 tokens and float32 stops counting at 1.7e7. Apple's GPUs know no float64.
            total.set_dtype(torch.float32 if self.device.type == "mps" else torch.float64)
            total.reset()

    def validation_step(self, batch: StepBatch, batch_idx: int) -> None:
        """Add one batch's nats and counted targets; targets `[batch, pos]` of -1 are padding."""
        tokens, targets = batch
        self.val_nats.update(self.model.loss(tokens, targets, reduction="sum").to(self.val_nats.dtype))
        self.val_count.update((targets != -1).sum().to(self.val_count.dtype))

    def on_validation_epoch_end(self) -> None:
        """Token-weighted mean over the split: a short last batch counts by its tokens, not as a batch."""
        nats, count = self.val_nats.compute(), self.val_count.compute()
        loss = float(nats / count)
        self.validated = {"val/loss": loss, "val/perplexity": float(torch.exp(torch.tensor(min(loss, 80.0))))}
        bytes_per_token = getattr(self.trainer.datamodule, "val_bytes_per_token", None)
        if bytes_per_token:
            self.validated["val/bits_per_byte"] = loss / (bytes_per_token * math.log(2))
        self.validated_at = self.trainer.global_step
        # For whoever brings callbacks of Lightning's own (EarlyStopping, …); the lab's journal reads `validated`.
        self.log_dict({k: torch.tensor(v, dtype=torch.float32) for k, v in self.validated.items()}, logger=False)

    def losses_at(self, step: int) -> dict[str, float]:
        """What is known of the weights after `step` updates: the last training loss, and a validation of them."""
        losses = {k: v for k, v in self.measured.items() if k == "train/loss"}
        return losses | (self.validated if self.validated_at == step else {})


def seed_device(device: torch.device, seed: int) -> None:
    """Seed the generators that a step draws from: the CPU's, and its GPU's.

    `torch.manual_seed` also queues a call, with a stack trace each, for every kind of device that was not used yet:
    0.9 ms, and memory that grows with every step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """A 63-bit seed for the random state of one step of one process (splitmix64's finaliser over the three numbers).

    Neighbouring steps must not get neighbouring generator states, hence the mixing (Steele, Lea & Flood 2014).
    """
    x = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) & (2**64 - 1)
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return (x ^ (x >> 31)) >> 1
