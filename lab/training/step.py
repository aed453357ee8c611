"""One optimizer step from top to bottom: random state, learning rate, micro-batches, clipping, update.

Lightning's way through a step, the short one (`lab.training.loop`) and pilots (`lab.training.bare`) all take it: all
compute the same bits. They differ in what adds a gradient and what updates the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from lab.errors import NonFiniteLoss
from lab.hashing import GOLDEN, MASK, mix64
from lab.model import GPT
from lab.model.loss import IGNORED
from lab.runs import metrics
from lab.training.optimizers import grad_norm_and_clip, set_lr

StepBatch = tuple[Tensor, Tensor]
"""Tokens and targets of one optimizer step, int64 `[accumulation, batch, pos]`; targets of -1 don't count (padding)."""


def take_step(
    model: GPT,
    optimizer: torch.optim.Optimizer,
    batch: StepBatch,
    *,
    seed: int,
    lr_factor: float,
    clip: float | None,
    backward: Callable[[Tensor], Any],
    update: Callable[[Callable[[], None]], Any],
    context: Callable[[bool], AbstractContextManager[Any]] = lambda last: nullcontext(),
    read: Callable[[str, Tensor], float] = lambda name, value: float(value),
    after_micro_batch: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Learn from one batch; returns `train/loss` (nats per token), `train/grad_norm` (unclipped) and `train/lr`.

    The gradient is that of the mean loss over every counted target of all micro-batches. Each micro-batch contributes
    its *sum* of losses divided by the step's number of counted targets, so the result does not depend on how the step
    was cut into micro-batches.

    Args:
        seed: Of the random state (dropout), as `step_seed` makes it.
        lr_factor: What the optimizer's peak learning rates are multiplied with.
        clip: The gradient norm above which gradients are scaled down to it; 0 or None: never.
        backward: Given a loss, adds its gradient to the parameters' `grad`.
        update: Given what clips the gradients, calls that once they are unscaled, then updates the weights.
        context: Given whether a micro-batch is the last: what its passes run in (autocast; no exchange of gradients).
        read: Reads loss and norm back from the device, by name; raises to stop before the update.
        after_micro_batch: Called with the number of each micro-batch; gradients hold the sum so far.
    """
    tokens, targets = batch
    seed_device(tokens.device, seed)
    set_lr(optimizer, lr_factor)
    counted, loss = (targets != IGNORED).sum(), torch.zeros((), device=tokens.device)
    for i in range(len(tokens)):
        with context(i == len(tokens) - 1):
            nats = model.loss(tokens[i], targets[i], reduction="sum") / counted
            backward(nats)
        loss += nats.detach()
        if after_micro_batch is not None:
            after_micro_batch(i)
    measured = {metrics.TRAIN_LOSS: read(metrics.TRAIN_LOSS, loss)}

    def clip_gradients() -> None:
        measured[metrics.TRAIN_GRAD_NORM] = read(metrics.TRAIN_GRAD_NORM, grad_norm_and_clip(model.parameters(), clip))

    update(clip_gradients)
    optimizer.zero_grad()
    return measured | {metrics.TRAIN_LR: optimizer.param_groups[0]["lr"]}


def refuse_non_finite(name: str, value: Tensor, step: int) -> float:
    """The number, which the device is waited for once to read. Raises `NonFiniteLoss`."""
    if not math.isfinite(number := float(value)):
        raise NonFiniteLoss(name, number, step)
    return number


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
    """A 63-bit seed for the random state of one step of one process.

    Neighbouring steps must not get neighbouring generator states, hence the hash.
    """
    return mix64((seed * GOLDEN + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) & MASK) >> 1
