"""Measures the loss of a run's checkpoint on its whole validation split."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lab.data.datamodule import LabDataModule
from lab.fitting.decisions import levers_of
from lab.fitting.origin import (
    Origin,
    history,
    over_stored_configuration,
    pick_checkpoint,
    refuse_other_architecture,
    refuse_other_data,
    root_of,
    same_text,
)
from lab.fitting.trainer import build_trainer
from lab.model import GPT
from lab.runs import Run, open_run
from lab.settings.arguments import Arguments
from lab.settings.parse import Settings
from lab.training.checkpoint_io import LabCheckpointIO
from lab.training.validating import Strided, strided


@dataclass(frozen=True)
class Validated:
    """`losses` by metric name, nats per token and bits per byte; `baselines` of the same text by unit and name.

    `read` is what of data.json tells how much was read; `other_text` why that is not the text that the run began with,
    None where it is.
    """

    run: Run
    step: int
    losses: dict[str, float]
    baselines: dict[str, dict[str, float]]
    read: dict[str, int]
    other_text: str | None
    strided: Strided | None


def validate(arguments: Arguments) -> Validated:
    """Measure the newest checkpoint of `--weights RUN`, or the one at RUN@STEP, with the run's own data."""
    name, _, step = (arguments.value("weights") or "").partition("@")
    run = open_run(name, root_of(arguments))
    checkpoint = pick_checkpoint(run, step or None)
    settings = Settings("validate", over_stored_configuration(run, arguments)).build()
    data, module = settings.data, settings.module
    state = LabCheckpointIO().load_checkpoint(checkpoint.path, weights_only=True)
    data.prepare_data()
    data.setup("validate")
    origin = Origin("fork", run, checkpoint)
    refuse_other_data(origin, None, {}, data)
    refuse_other_architecture(origin, module.config)
    with torch.no_grad():
        module.load_state_dict(state["state_dict"])
    levers = levers_of(settings)
    levers.apply(module.model)
    trainer = build_trainer(
        settings, logger=False, precision=levers.precision, enable_checkpointing=False, enable_model_summary=False
    )
    trainer.validate(module, datamodule=data, verbose=False)
    other_text = same_text(origin, history(origin), data)
    read, stride = data.facts()["validation"], settings.values.stride
    overlapping = None if stride is None else _strided(data, module.model, stride, read["tokens"])
    return Validated(run, checkpoint.step, module.validated, data.baselines, read, other_text, overlapping)


def _strided(data: LabDataModule, model: GPT, stride: int, tokens: int) -> Strided:
    """Over as many tokens of the held-out text, from its beginning, as validation reads."""
    if data.sequences.per_epoch is None:
        raise ValueError(f"--stride {stride}: the sequences of a made corpus stand alone, none goes on with another")
    stream = torch.from_numpy(data.sequences.val_stream(tokens + 1))
    return strided(model, stream, data.context_length, stride, data.batch_size)
