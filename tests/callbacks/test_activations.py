"""The reference texts and their activations: the same texts always, recorded once a step."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch

from lab.callbacks.activations import (
    MOST_POSITIONS,
    reference_activations,
    reference_texts,
    repeated_tokens,
    token_labels,
)
from lab.model import GPT, GPTConfig

CONFIG = GPTConfig(n_layers=1, n_heads=2, d_model=16, context_length=8, vocab_size=11)


def data(n_tokens: int = 1000) -> Any:
    """Validation text that counts up, and a vocabulary of two tokens."""
    stream = np.arange(n_tokens, dtype=np.int64) % CONFIG.vocab_size
    return SimpleNamespace(
        sequences=SimpleNamespace(val_stream=lambda n: stream[:n]), tokenizer=SimpleNamespace(tokens=[b"a", None])
    )


def test_texts_are_the_beginning_of_the_validation_split() -> None:
    assert reference_texts(data(), 8).tolist() == (torch.arange(24) % 11).view(3, 8).tolist()
    assert reference_texts(data(), 1000).shape == (3, MOST_POSITIONS)
    assert reference_texts(data(5), 8).tolist() == [[0, 1, 2, 3, 4]], "a short split is one text"


def test_repeated_tokens_fit_vocabulary_and_context() -> None:
    tokens, period = repeated_tokens(1000, 1000) or (torch.zeros(0), 0)
    assert (tokens.shape, period) == ((2, MOST_POSITIONS), MOST_POSITIONS // 2)
    assert torch.equal(tokens[:, :period], tokens[:, period:])
    assert repeated_tokens(5, 1000) is not None
    assert repeated_tokens(1000, 3) is repeated_tokens(1, 100) is None


def test_tokens_are_shown_as_characters() -> None:
    assert token_labels(data(), [0, 7]) == ["a", "‹id 7›"]


def test_one_recording_serves_a_step_and_the_next_makes_its_own() -> None:
    fit = cast(Any, SimpleNamespace(model=GPT(CONFIG), data=data(), cache={}))
    first = reference_activations(fit)
    assert reference_activations(fit) is first
    assert first.text.tokens.shape == (3, 8)
    assert first.repeated is not None
    assert (first.repeated.tokens.shape, first.period) == ((2, 8), 4)
    fit.cache.clear()
    assert reference_activations(fit) is not first
