"""The settings that belong to a run as a whole, and the check of all settings together before anything is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from lab.callbacks.checkpoints import Checkpoints
from lab.callbacks.journal import Journal
from lab.callbacks.snapshots import Snapshots
from lab.callbacks.validation import Validation
from lab.cli.parser import DECIDED_ELSEWHERE, decided_elsewhere
from lab.data.datamodule import LabDataModule
from lab.model import GPTConfig
from lab.training.horizon import HorizonConfig
from lab.training.levers import LeverConfig
from lab.training.optimizers import OptimizerConfig
from lab.training.schedules import ScheduleConfig

Tracking = Literal["off", "offline", "online"]


@dataclass
class RunConfig:
    """Where a run lives.

    Args:
        name: The run's folder under `root`; unset: the date and a short word.
        root: The folder of all runs.
        note: A sentence for yourself, kept in config.yaml.
    """

    name: str | None = None
    root: str = "runs"
    note: str = ""


def given_but_decided_elsewhere(given: dict[str, str]) -> list[str]:
    """Settings the person gave that something else decides: said, never silently ignored."""
    return [f"{decided_elsewhere(key)} (in {where})" for key, where in given.items() if key in DECIDED_ELSEWHERE]


def problems_of(config: Any) -> list[str]:
    """Construct each group by itself and gather what each has to say: nobody likes to fix one mistake at a time."""
    model = config.model
    builders: list[Callable[[], Any]] = [
        lambda: GPTConfig(**{**vars(model.config), "vocab_size": 256}),
        lambda: OptimizerConfig(**vars(model.optimizer)),
        lambda: ScheduleConfig(**vars(model.schedule)),
        lambda: LabDataModule(**vars(config.data)),
        lambda: LeverConfig(**vars(config.levers)),
        lambda: HorizonConfig(**vars(config.horizon)),
        lambda: Journal(**vars(config.log)),
        lambda: Validation(**vars(config.validation)),
        lambda: Snapshots(**vars(config.snapshots)),
        lambda: Checkpoints(**vars(config.checkpoint)),
    ]
    problems: list[str] = []
    for build in builders:
        try:
            build()
        except ValueError as error:
            problems += str(error).splitlines()
    positions, asked = model.config.context_length, config.data.context_length
    if isinstance(asked, int) and asked > positions:
        problems.append(
            f"data.context_length is {asked}, but the model has {positions} positions:"
            f" set model.config.context_length to {asked} or more"
        )
    devices = config.trainer.devices
    if devices not in ("auto", 1, "1") and not (isinstance(devices, list) and len(devices) == 1):
        problems.append(f"trainer.devices is {devices}: a run trains on one; leave it out, or name it in a list")
    if config.trainer.get("num_nodes", 1) != 1:
        problems.append(f"trainer.num_nodes is {config.trainer.num_nodes}: a run trains on one machine")
    return problems
