"""Activations of the reference texts under the weights of this moment, recorded once a step for all instruments.

Reference texts are the first tokens of the validation split, cut into a few texts that stay the same for the whole
run, and a few sequences of random tokens written twice. One forward pass reads them all.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from lab.training.callback import FitContext

TEXTS, REPEATED = 3, 2  # sequences of each kind: as many as still cost less than a small model's training step
MOST_POSITIONS = 64  # tokens of each sequence
SEED = 0  # of the random tokens
SITES = tuple(dict.fromkeys((*SUMMARY_SITES, *HISTOGRAM_SITES)))


@dataclass(frozen=True)
class Activations:
    """Of one step; `repeated` and `period` are None where vocabulary or context are too small to repeat anything."""

    text: ActivationCache
    repeated: ActivationCache | None
    period: int | None


def reference_activations(fit: FitContext) -> Activations:
    """Under the weights of this moment: recorded when first asked for, forgotten before the next step."""
    if "activations" not in fit.cache:
        config = fit.model.config
        texts = reference_texts(fit.data, config.context_length)
        repeated, period = repeated_tokens(config.vocab_size, config.context_length) or (None, None)
        fit.cache["activations"] = Activations(*record_texts(fit.model, texts, repeated, SITES), period)
    return fit.cache["activations"]


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
