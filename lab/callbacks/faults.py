"""Faults put into a run on purpose, for `configs/broken`: those that no ordinary setting can cause.

    trainer:
      callbacks:
        - class_path: lab.callbacks.faults.Faults
          init_args: {labels: same}

The lab itself has no switch for any of them. Faults of the text come from a wrapper around the source of sequences,
those of the model from a replaced method or changed weights.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from types import MethodType
from typing import Any, Literal

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from lab.data.batches import IGNORED, Sequences, TextSequences
from lab.data.datamodule import LabDataModule
from lab.model.attention import Attention
from lab.model.taps import Scope, site
from lab.training.module import PretrainingModule

Labels = Literal["next", "same", "after_next"]


@dataclass
class Weights:
    """What is done to parameters whose name matches.

    Args:
        match: A regular expression that is searched for in the name.
        rows: How many of its first rows; None: all.
        scale: Factor.
        shift: Added after that.
        again: Before every step, and not only once.
        hold: They get no gradient and stay as they are.
        at_step: From this step on.
    """

    match: str
    rows: int | None = None
    scale: float = 1.0
    shift: float = 0.0
    again: bool = False
    hold: bool = False
    at_step: int = 0


class Faults(Callback):
    """Puts chosen faults into a run. For `configs/broken` and nothing else.

    Args:
        causal: False: every position sees the whole sequence.
        labels: `same`: the target is the token itself; `after_next`: the one after the next.
        leak: Validate on training text.
        shuffle: False: sequences come in the order of the text.
        dropout_in_validation: Leave the model in training mode while it is validated.
        noise_steps: `[first, last)`: steps that learn from random tokens.
        data_seconds: Waiting for each batch.
        slow_from: From this step on, each step takes `slow_seconds` longer.
        slow_seconds: Seconds.
        weights: Changes of weights.
    """

    def __init__(
        self,
        causal: bool = True,
        labels: Labels = "next",
        leak: bool = False,
        shuffle: bool = True,
        dropout_in_validation: bool = False,
        noise_steps: list[int] | None = None,
        data_seconds: float = 0.0,
        slow_from: int = 0,
        slow_seconds: float = 0.0,
        weights: list[Weights] | None = None,
    ) -> None:
        self.causal, self.labels, self.leak, self.shuffle = causal, labels, leak, shuffle
        self.dropout_in_validation = dropout_in_validation
        self.noise_steps, self.data_seconds = range(*(noise_steps or [0, 0])), data_seconds
        self.slow_from, self.slow_seconds = slow_from, slow_seconds
        self.weights = [Weights(**w) if isinstance(w, dict) else w for w in weights or []]

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Before anything looks at step 0."""
        assert isinstance(pl_module, PretrainingModule)
        data = getattr(trainer, "datamodule", None)
        assert isinstance(data, LabDataModule)
        data.sequences = FaultySequences(data.sequences, self, data.sequences_per_step, data.vocab_size, data.begin)
        if not self.causal:
            for module in pl_module.model.modules():
                if isinstance(module, Attention):
                    vars(module)["_attend"] = MethodType(attend_to_everything, module)
        self._change(pl_module, lambda w: w.at_step == 0)

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Weights that change later; waiting within the step."""
        step = trainer.global_step
        if step:
            self._change(pl_module, lambda w: w.at_step == step or (w.again and step > w.at_step))
        if self.slow_seconds and step >= self.slow_from:
            time.sleep(self.slow_seconds)

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """What is held gets no gradient."""
        for weights in filter(lambda w: w.hold, self.weights):
            for name, parameter in pl_module.named_parameters():
                if re.search(weights.match, name) and parameter.grad is not None:
                    parameter.grad[: weights.rows] = 0

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Dropout stays on, where that is the fault; Lightning restores the mode itself."""
        if self.dropout_in_validation:
            pl_module.train()

    @torch.no_grad()
    def _change(self, module: L.LightningModule, chosen: Any) -> None:
        for weights in filter(chosen, self.weights):
            for name, parameter in module.named_parameters():
                if re.search(weights.match, name):
                    parameter[: weights.rows].mul_(weights.scale).add_(weights.shift)


class FaultySequences:
    """A source of sequences with a fault; all else is the original source's."""

    def __init__(
        self, original: Sequences, how: Faults, per_step: int, vocab_size: int, begin: tuple[int, int] = (0, 0)
    ) -> None:
        self.original, self.how, self.per_step, self.vocab_size = original, how, per_step, vocab_size
        self.begin = begin
        self.n_val, self.per_epoch = original.n_val, original.per_epoch
        if not how.shuffle:
            if not isinstance(original, TextSequences):
                raise ValueError("faults.shuffle: a made corpus has no order to leave it in; choose a text")
            vars(original.order)["starts"] = self._in_order

    def _in_order(self, indices: np.ndarray) -> np.ndarray:
        assert isinstance(self.original, TextSequences)
        return indices % self.original.order.per_epoch * self.original.order.context_length

    def train(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Training sequences, late, random or wrongly labelled."""
        if self.how.data_seconds:
            time.sleep(self.how.data_seconds)
        tokens, targets = self.original.train(indices)
        if self.begin[0] + (int(indices[0]) - self.begin[1]) // self.per_step in self.how.noise_steps:
            rng = np.random.default_rng(int(indices[0]))
            noise = rng.integers(0, self.vocab_size, (len(tokens), tokens.shape[1] + 1))
            tokens, targets = noise[:, :-1], noise[:, 1:]
        return self._label(tokens, targets)

    def val(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Those of `val_rows` with the numbers start..stop-1."""
        return self.val_rows(np.arange(start, stop))

    def val_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Validation sequences, or training sequences in their place."""
        return self._label(*(self.original.train(rows) if self.how.leak else self.original.val_rows(rows)))

    def val_subset(self, n: int) -> np.ndarray | None:
        """The original's choice."""
        return self.original.val_subset(n)

    def val_stream(self, n: int) -> np.ndarray:
        """As it is: reference texts have no fault."""
        return self.original.val_stream(n)

    def _label(self, tokens: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.how.labels == "same":
            return tokens, np.where(targets == IGNORED, IGNORED, tokens)
        if self.how.labels == "after_next":
            return tokens, np.concatenate([targets[:, 1:], np.full_like(targets[:, :1], IGNORED)], axis=1)
        return tokens, targets


def attend_to_everything(self: Attention, q: Tensor, k: Tensor, v: Tensor, tap: Scope | None) -> Tensor:
    """Attention without its mask, in the place of `Attention._attend`."""
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    scores = site(tap, "hook_attn_scores", q @ k.transpose(-1, -2) * self.d_head**-0.5)
    return self.pattern_dropout(site(tap, "hook_pattern", scores.softmax(dim=-1))) @ v
