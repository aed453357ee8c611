"""One recorded forward pass a step, shared by all instruments that are due at it.

What is read: the first tokens of the validation split, cut into a few texts that stay the same for the whole
run, and a few sequences of random tokens written twice. Both in one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import lightning as L
import torch
from torch import Tensor

from lab.data.datamodule import LabDataModule
from lab.figures.tokens import show_token
from lab.interp import (
    HISTOGRAM_SITES,
    SUMMARY_SITES,
    ActivationCache,
    record_texts,
    repeated_random_tokens,
)
from lab.training.module import PretrainingModule

TEXTS, REPEATED = 3, 2
"""Sequences of each kind: as many as still cost less than a small model's training step."""
MOST_POSITIONS = 64
SEED = 0
SITES = tuple(dict.fromkeys((*SUMMARY_SITES, *HISTOGRAM_SITES)))


@dataclass(frozen=True)
class Activations:
    """The activations of the probe at one step; `repeated` and `period` are None where vocabulary or context
    are too small to repeat anything."""

    text: ActivationCache
    repeated: ActivationCache | None
    period: int | None


_newest: WeakKeyDictionary[L.Trainer, tuple[int, Activations]] = WeakKeyDictionary()


def reference_activations(trainer: L.Trainer) -> Activations:
    """The probe's activations under the weights of this moment, recorded once a step."""
    step = trainer.global_step
    known = _newest.get(trainer)
    if known is None or known[0] != step:
        known = _newest[trainer] = (step, _record(trainer))
    return known[1]


def forget(trainer: L.Trainer) -> None:
    """Let the activations go: the weights are about to change."""
    _newest.pop(trainer, None)


def reference_texts(data: LabDataModule, context_length: int) -> Tensor:
    """The fixed texts, int64 `[text, pos]`: the beginning of the validation split, at most 64 tokens each."""
    stream = data.sequences.val_stream(TEXTS * min(MOST_POSITIONS, context_length))
    n_pos = min(MOST_POSITIONS, context_length, len(stream))
    n_texts = max(1, len(stream) // n_pos)
    return torch.from_numpy(stream[: n_texts * n_pos].reshape(n_texts, n_pos))


def repeated_tokens(vocab_size: int, context_length: int) -> tuple[Tensor, int] | None:
    """The repeated random tokens, int64 `[sequence, 2·period]`, and their period; None where there is no room."""
    period = min(MOST_POSITIONS, context_length) // 2
    period = min(period, vocab_size)
    if period < 2:
        return None
    return repeated_random_tokens(vocab_size, period, REPEATED, SEED), period


def token_labels(data: LabDataModule, tokens: list[int]) -> list[str]:
    """Each token as visible characters."""
    table = data.tokenizer.tokens
    return [show_token(table[i] or b"") if i < len(table) else f"‹id {i}›" for i in tokens]


def _record(trainer: L.Trainer) -> Activations:
    module, data = trainer.lightning_module, trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(module, PretrainingModule)
    assert isinstance(data, LabDataModule)
    config = module.config
    texts = reference_texts(data, config.context_length)
    found = repeated_tokens(config.vocab_size, config.context_length)
    repeated, period = (None, None) if found is None else found
    return Activations(*record_texts(module.model, texts, repeated, SITES), period)
