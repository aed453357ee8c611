"""How long one optimizer step takes on this machine: a few real steps of a model that is thrown away."""

from __future__ import annotations

import statistics
import time

from lab.data.datamodule import LabDataModule
from lab.model import GPTConfig
from lab.training.bare import BareTraining
from lab.training.levers import Levers
from lab.training.optimizers import OptimizerConfig

WARM_UP = 3
"""Steps that don't count: the allocator, the caches and the processor's clock settle in them."""
MOST_SECONDS = 5.0
MOST_STEPS = 30


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
