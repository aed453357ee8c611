"""All groups of settings in one table, which the parser and the check read, and what each command takes beside them.

A group is a dataclass (or a class whose constructor is read likewise); its docstring is what `--help` says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from lab.callbacks.checkpoints import Checkpoints
from lab.callbacks.instruments import INSTRUMENTS
from lab.callbacks.metrics_log import MetricsLog
from lab.callbacks.snapshots import Snapshots
from lab.callbacks.validation import Validation
from lab.data.datamodule import LabDataModule
from lab.runs.predictions import QUANTITIES, Prediction
from lab.training.horizon import HorizonConfig
from lab.training.levers import LeverConfig

Tracking = Literal["off", "offline", "online"]
Range = float | list[float] | None


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


@dataclass
class PredictConfig:
    """What you say before the run; sealed when it starts, scored when it ends (`python -m lab runs calibration`).

    A prediction is a number, or two: the bounds between which the truth will lie in 8 of 10 such cases.

    Args:
        ask: Ask in the terminal for each that is not given.
        final_loss: Validation loss after the last step, nats per token: 1.9, or [1.8, 2.0].
        minutes: Wall-clock from the first step to the end, looks and checkpoints included, as horizon.minutes.
        memory_gb: Peak memory of the process, or of the GPU, in GB.
        overfit: Whether the validation loss will end more than 1 % above its lowest.
        sample_quality: Percentage of the words in the last samples that are words of the training text.
        mental_model: In your own words: how does this model come to predict the next token?
    """

    ask: bool = False
    final_loss: Range = None
    minutes: Range = None
    memory_gb: Range = None
    overfit: bool | None = None
    sample_quality: Range = None
    mental_model: str | None = None

    def __post_init__(self) -> None:
        problems = []
        for name in (quantity.setting for quantity in QUANTITIES.values()):
            value = getattr(self, name)
            if value is None:
                continue
            bounds = value if isinstance(value, list) else [value]
            if len(bounds) not in (1, 2) or not all(0 <= b < math.inf for b in bounds) or bounds != sorted(bounds):
                problems.append(f"predict.{name} is {value}: give a number of at least 0, or [low, high]")
        if problems:
            raise ValueError("\n".join(problems))

    @property
    def says_anything(self) -> bool:
        """Whether anything was predicted, or is to be asked."""
        return self.ask or any(getattr(self, f.name) is not None for f in fields(self) if f.name != "ask")

    def predictions(self) -> list[Prediction]:
        """As predictions.json holds them: a value, or the middle of two bounds."""
        found = []
        for name, quantity in QUANTITIES.items():
            if (value := getattr(self, quantity.setting)) is not None:
                bounds = [quantity.scale * float(v) for v in (value if isinstance(value, list) else [value])]
                low, high = bounds if len(bounds) == 2 else (None, None)
                middle = sum(bounds) / len(bounds)
                found.append(Prediction("person", name, middle, low, high, method="said before the start"))
        return found


GROUPS: dict[str, type] = {
    "data": LabDataModule,
    "run": RunConfig,
    "horizon": HorizonConfig,
    "levers": LeverConfig,
    "predict": PredictConfig,
    "log": MetricsLog,
    "validation": Validation,
    "snapshots": Snapshots,
    "checkpoint": Checkpoints,
    **{instrument.group: instrument for instrument in INSTRUMENTS},
}
"""Name in YAML and flags → class. `model` and `trainer`, which hold groups of their own, are added by the parser."""

Option = tuple[Any, Any, str]
PLAN_OPTIONS: dict[str, Option] = {
    "pilot": (bool, False, "Train a ladder of small models, a tenth of the run's FLOPs, and forecast the final loss."),
    "measure": (bool, True, "Take a few real steps: minutes and memory as measured."),
    "minutes": (float | None, None, "Choose the model: the largest sensible one for that time on this machine."),
    "schedule": (str | None, None, "Also draw the learning rate into this file (.png, .svg or .pdf)."),
    "json": (bool, False, "Print JSON."),
}
OPTIONS: dict[str, dict[str, Option]] = {
    "fit": {
        "resume": (str | None, None, "Go on with RUN (a name, a path or `last`)."),
        "fork": (str | None, None, "RUN@STEP: a new run that starts from that checkpoint."),
        "check": (bool, False, "Check the settings and train nothing."),
    },
    "plan": PLAN_OPTIONS,
    "validate": {
        "weights": (str | None, None, "RUN or RUN@STEP to validate."),
        "stride": (int | None, None, "Also in windows that overlap: each begins so many tokens after the one before."),
    },
}
"""What a command takes beside the settings of a run: type, default, help."""
SHARED_OPTIONS: dict[str, Option] = {
    "tensorboard": (bool, True, "Write TensorBoard files into the run directory."),
    "wandb": (Tracking, "off", "Weights & Biases: off, offline (files in the run directory), online."),
}
