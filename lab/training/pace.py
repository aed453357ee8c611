"""How long one optimizer step takes on this machine: a few real steps on a copy of the model."""

from __future__ import annotations

import copy
import statistics
import time

import torch

from lab.data.datamodule import LabDataModule
from lab.training.levers import Levers
from lab.training.module import PretrainingModule
from lab.training.optimizers import build_optimizer, grad_norm_and_clip

WARM_UP = 3
"""Steps that don't count: the allocator, the caches and the processor's clock settle in them."""
MOST_SECONDS = 5.0
MOST_STEPS = 30


def seconds_per_step(module: PretrainingModule, data: LabDataModule, levers: Levers) -> float:
    """Median seconds of one optimizer step, over as many as fit into 5 seconds (at least one).

    The model trained here is a copy that is thrown away, on the batches the run begins with, at learning rate 0.
    """
    device = torch.device(levers.device)
    model = copy.deepcopy(module.model).to(device).train()
    optimizer = build_optimizer(model, module.optimizer_config)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < WARM_UP + 1 or (time.perf_counter() - begin < MOST_SECONDS and len(times) < MOST_STEPS):
        start = time.perf_counter()
        tokens, targets = data.step_batch(len(times))
        for x, y in zip(tokens.to(device), targets.to(device), strict=True):
            with levers.autocast():
                loss = model.loss(x, y) / len(tokens)
            loss.backward()
        grad_norm_and_clip(model.parameters(), module.optimizer_config.clip)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_UP:])
