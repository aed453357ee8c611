"""Callbacks that put other weights in the place of those that are trained, as users write them."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging


class OwnAverage(EMAWeightAveraging):
    """Lightning's, with another default."""


class HomeMade(L.Callback):
    """An average of one's own, validated in the place of the weights."""

    def __init__(self) -> None:
        self.average: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        weights = [weight.detach().clone() for weight in module.parameters()]
        self.average = [(a + w) / 2 for a, w in zip(self.average or weights, weights, strict=True)]

    def _swap(self, module: Any) -> None:
        for i, weight in enumerate(module.parameters() if self.average else ()):
            kept = weight.data.clone()
            weight.data.copy_(self.average[i])
            self.average[i] = kept

    def on_validation_epoch_start(self, trainer: Any, module: Any) -> None:
        self._swap(module)

    def on_validation_epoch_end(self, trainer: Any, module: Any) -> None:
        self._swap(module)
