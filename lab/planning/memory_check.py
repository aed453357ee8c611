"""Whether a training step fits into this machine's memory, before any of it is made; and if not, what does."""

from __future__ import annotations

from dataclasses import replace

import torch

from lab.data.dataset import LabData
from lab.errors import SettingsError
from lab.forecasting.ladder import narrower
from lab.model import GPTConfig
from lab.planning.memory import FRAGMENTED, Step, step_memory
from lab.settings.parse import Settings
from lab.training.levers import LeverConfig, Levers, choose_levers
from lab.training.machine import total_memory

PROCESS_BYTES = 650_000_000  # Python, PyTorch, Lightning and the dashboards, before the first step
INSTRUMENT_BYTES = 90_000_000  # figures, instruments, dashboards: 53 to 188 MB over 12 random configurations, median 90
PARTS = (0.71, 0.5, 0.35, 0.25, 0.18, 0.125, 0.09, 0.0625, 0.03)


def refuse_what_cannot_fit(settings: Settings) -> None:
    """Raise `SettingsError`, with what does fit, for a step that takes more memory than there is.

    Reads the settings' values: nothing of them is built yet, above all no weights.
    """
    values = settings.values
    data = LabData(**vars(values.data))
    config = GPTConfig(**{**vars(values.model.config), "vocab_size": data.vocab_size})
    levers = choose_levers(
        LeverConfig(**vars(values.levers)), precision=values.trainer.precision, config=config, device=settings.device
    )
    step = step_of(data, levers, values.model.optimizer.name)
    have, need = total_memory(levers.device), process_peak(config, step, levers)
    if need <= have:
        return
    raise SettingsError(
        f"a step of this run takes {need / 1e9:,.1f} GB and this machine has {have / 1e9:,.1f} GB;"
        f" {what_fits(config, step, levers, have)}"
    )


def step_of(data: LabData, levers: Levers, optimizer: str) -> Step:
    """What a step's memory depends on, from the data's settings and the levers."""
    return Step(
        data.batch_size,
        data.context_length,
        max(1, data.sequences_per_step // data.batch_size),
        optimizer,
        levers.precision,
        levers.attention,  # type: ignore[arg-type]
        levers.loss,
        levers.dropout,
    )


def process_peak(config: GPTConfig, step: Step, levers: Levers, before: int = PROCESS_BYTES) -> int:
    """The most that the process (or PyTorch on a GPU) will hold; `before`: what it holds without the model."""
    peak = step_memory(config, step).peak
    if torch.device(levers.device).type != "cpu":
        return peak
    return before + INSTRUMENT_BYTES + round(peak * (FRAGMENTED if levers.keep_memory else 1.0))


def what_fits(config: GPTConfig, step: Step, levers: Levers, have: int) -> str:
    """The largest micro-batch that fits, or if none does the widest network, in words."""
    size = step.batch_size
    while size > 1:
        size = size // 2
        if process_peak(config, replace(step, batch_size=size, accumulation=2), levers) <= have:
            per_step = step.batch_size * step.context_length * step.accumulation
            return f"with data.batch_size {size} and data.tokens_per_step {per_step} it fits, and learns the same"
    for part in PARTS:
        smaller = narrower(config, part)
        if process_peak(smaller, replace(step, batch_size=1), levers) <= have:
            return (
                f"model.config.d_model {smaller.d_model} with n_heads {smaller.n_heads} and data.batch_size 1 would fit"
            )
    return "lower model.config.n_layers, d_model or context_length"
