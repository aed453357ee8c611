"""Training a pilot: what `plan --pilot` hands to `lab.planning` as its `measure`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from lab.data.datamodule import LabDataModule
from lab.forecasting.ladder import Rung, computing_parameters, rate_factor
from lab.forecasting.law import Trained
from lab.model import GPTConfig
from lab.training.bare import BareTraining
from lab.training.levers import Levers
from lab.training.optimizers import OptimizerConfig
from lab.training.schedules import ScheduleConfig

LOOKS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # parts of a pilot's run after which it is validated, beside its end
CURVE_TOKENS = 1 << 14  # validation tokens of each of these; the end is measured on them too, so that falls compare


def pilots(
    target: GPTConfig,
    optimizer: OptimizerConfig,
    schedule: ScheduleConfig,
    data: LabDataModule,
    levers: Levers,
    total_steps: int,
    seed: int,
    curve_tokens: int | None = CURVE_TOKENS,
) -> Callable[[Rung], Trained]:
    """`measure(rung)`: trains it with the target's recipe on the target's data, and tells how it ended.

    A warm-up given in steps is stretched with the run (`total_steps` are the target's), and the learning rate follows
    the width.
    """

    def measure(rung: Rung) -> Trained:
        begin = time.perf_counter()
        warmup = schedule.warmup(total_steps) / total_steps
        shape = replace(schedule, warmup_steps=round(warmup * rung.steps)) if rung.steps != total_steps else schedule
        recipe = replace(optimizer, lr=optimizer.lr * rate_factor(rung.config, target))
        training = BareTraining(rung.config, recipe, shape, data, levers, rung.steps, seed + rung.seed)
        looks = {max(1, round(part * rung.steps)): part for part in LOOKS}
        curve: list[tuple[float, float]] = []
        for n in range(rung.steps):
            if n in looks:
                curve.append((looks[n], training.val_loss(curve_tokens)))
            training.step(n)
        loss = training.val_loss()
        curve.append((1.0, loss if curve_tokens is None else training.val_loss(curve_tokens)))
        tokens = rung.steps * data.tokens_per_step
        return Trained(computing_parameters(rung.config), tokens, loss, tuple(curve), time.perf_counter() - begin)

    return measure
