"""The steps of a fit without its machinery: for pilots, and to see how long a step takes.

The same batches, random states, learning rates and updates in the same order as `PretrainingModule` under Lightning's
Trainer, so the same losses (tests/training/test_bare.py compares them), but no run directory and no callbacks.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from lab.data.batches import as_tensor
from lab.data.datamodule import LabDataModule
from lab.model import GPT, GPTConfig
from lab.runs import metrics
from lab.training.levers import Levers
from lab.training.optimizers import OptimizerConfig, build_optimizer
from lab.training.schedules import ScheduleConfig, lr_factor
from lab.training.step import step_seed, take_step
from lab.training.validating import WindowSums, window_losses

WHOLE = {"64-true": torch.float64, "bf16-true": torch.bfloat16, "16-true": torch.float16}
"""Precisions in which the weights are stored, too."""
WARM_UP = 3  # steps that are not counted: allocator, caches and the processor's clock settle in them
MOST_SECONDS, MOST_STEPS = 5.0, 30  # that timing a step takes, beside the first steps


class BareTraining:
    """A model that is trained one call of `step` at a time.

    Args:
        config: The network; its fresh weights are drawn from `seed`, as a fit with that seed draws them.
        optimizer: Its settings.
        schedule: Its shape over `total_steps`; None: a learning rate of 0, for timing.
        data: Where batches come from, ready to be read.
        levers: Device, precision and kernels.
        total_steps: Of the run that the schedule is for.
        seed: Of the weights and of each step's random state.
    """

    def __init__(
        self,
        config: GPTConfig,
        optimizer: OptimizerConfig,
        schedule: ScheduleConfig | None,
        data: LabDataModule,
        levers: Levers,
        total_steps: int,
        seed: int,
    ) -> None:
        self.schedule, self.data, self.levers = schedule, data, levers
        self.total_steps, self.seed, self.clip = total_steps, seed, optimizer.clip
        self.device = torch.device(levers.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = GPT(config)
        self.model.to(self.device, WHOLE.get(levers.precision)).train()
        levers.apply(self.model)
        self.optimizer = build_optimizer(self.model, optimizer)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=levers.precision == "16-mixed")

    def step(self, n: int) -> float:
        """The update from step `n` to `n + 1`; returns the loss before it, nats per token."""
        tokens, targets = self.data.step_batch(n)
        measured = take_step(
            self.model,
            self.optimizer,
            (tokens.to(self.device), targets.to(self.device)),
            seed=step_seed(self.seed, n),
            lr_factor=lr_factor(n, self.total_steps, self.schedule) if self.schedule else 0.0,
            clip=self.clip,
            backward=lambda nats: self._scaler.scale(nats).backward(),
            update=self._update,
            context=lambda last: self.levers.autocast(),
        )
        return measured[metrics.TRAIN_LOSS]

    def _update(self, clip_gradients: Callable[[], None]) -> None:
        self._scaler.unscale_(self.optimizer)
        clip_gradients()
        self._scaler.step(self.optimizer)
        self._scaler.update()

    @torch.no_grad()
    def val_loss(self, most_tokens: int | None = None) -> float:
        """Mean loss over what validation reads, or over `most_tokens` spread evenly over that; nats per token."""
        self.model.eval()
        source = self.data.sequences
        n = source.n_val if most_tokens is None else min(source.n_val, max(1, most_tokens // self.data.context_length))
        sums = WindowSums(self.device)
        rows = np.linspace(0, source.n_val - 1, n).round().astype(int)
        for start in range(0, n, self.data.batch_size):
            batch = source.val_rows(rows[start : start + self.data.batch_size])
            x, y = (as_tensor(part).to(self.device) for part in batch)
            with self.levers.autocast():
                sums.add(*window_losses(self.model, x, y))
        self.model.train()
        return sums.loss()


def seconds_per_step(config: GPTConfig, optimizer: OptimizerConfig, data: LabDataModule, levers: Levers) -> float:
    """Median seconds of one optimizer step, over as many as fit into 5 seconds (at least one).

    On the batches the run begins with, at learning rate 0.
    """
    training = BareTraining(config, optimizer, None, data, levers, MOST_STEPS, seed=0)
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < WARM_UP + 1 or (time.perf_counter() - begin < MOST_SECONDS and len(times) < MOST_STEPS):
        start = time.perf_counter()
        training.step(len(times))
        times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_UP:])
