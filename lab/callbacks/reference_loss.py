"""The fixed probe of a fit: the slice of validation text whose loss is noted beside every set of weights."""

from __future__ import annotations

from typing import cast

import lightning as L
import torch

from lab.data.datamodule import LabDataModule
from lab.model.reference import reference_loss
from lab.training.module import PretrainingModule


def reference_loss_now(trainer: L.Trainer) -> float:
    """`lab.model.reference.reference_loss` of the weights of this moment, nats per token."""
    module = cast(PretrainingModule, trainer.lightning_module)
    data = cast(LabDataModule, trainer.datamodule)
    tokens = data.sequences.val_stream(module.config.context_length + 1)
    return reference_loss(module.model, torch.from_numpy(tokens))
