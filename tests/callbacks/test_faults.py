"""Faults put into a run on purpose do what they say, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from lab.callbacks.faults import Faults, FaultySequences, Weights
from lab.model import GPT, GPTConfig


class Counting:
    """A source of sequences whose token at any place is the number of its sequence."""

    n_val, per_epoch = 5, 9

    def train(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tokens = np.tile(np.arange(4), (len(indices), 1)) + 10 * indices[:, None]
        return tokens, tokens + 1

    def val(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        return self.val_rows(np.arange(start, stop))

    def val_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tokens, targets = self.train(rows)
        return -tokens, -targets

    def val_stream(self, n: int) -> np.ndarray:
        return np.arange(n)


def faulty(**how: Any) -> FaultySequences:
    return FaultySequences(cast(Any, Counting()), Faults(**how), 2, 50)


def test_without_a_fault_sequences_are_the_original_ones() -> None:
    plain, original, one = faulty(), Counting(), np.array([3])
    theirs = (*original.train(one), *original.val(0, 2))
    for found, expected in zip((*plain.train(one), *plain.val(0, 2)), theirs, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert (plain.n_val, plain.per_epoch) == (5, 9)


def test_labels_and_leaks() -> None:
    first = np.array([0])
    tokens, same = faulty(labels="same").train(first)
    _, late = faulty(labels="after_next").train(first)
    assert same.tolist() == tokens.tolist() == [[0, 1, 2, 3]]
    assert late.tolist() == [[2, 3, 4, -1]]
    np.testing.assert_array_equal(faulty(leak=True).val(1, 3)[0], Counting().train(np.array([1, 2]))[0])


def test_noise_comes_at_its_steps_and_is_the_same_each_time() -> None:
    noisy = faulty(noise_steps=[1, 2])
    np.testing.assert_array_equal(noisy.train(np.array([1]))[0], Counting().train(np.array([1]))[0])
    tokens, targets = noisy.train(np.array([2, 3]))
    np.testing.assert_array_equal(tokens, noisy.train(np.array([2, 3]))[0])
    np.testing.assert_array_equal(tokens[:, 1:], targets[:, :-1])
    with pytest.raises(ValueError, match=r"faults\.shuffle: a made corpus has no order"):
        faulty(shuffle=False)


def test_weights_change_once_or_again() -> None:
    model = GPT(GPTConfig(n_layers=1, n_heads=2, d_model=16, context_length=8, vocab_size=11))
    name, before = next((name, p.detach().clone()) for name, p in model.named_parameters() if p.ndim == 2)
    faults = Faults(weights=[Weights(f"^{name}$", rows=1, scale=2.0, shift=1.0, again=True)])
    faults._change(cast(Any, model), lambda weights: True)
    changed = dict(model.named_parameters())[name]
    torch.testing.assert_close(changed[0], 2 * before[0] + 1)
    torch.testing.assert_close(changed[1:], before[1:])
    held = Faults(weights=[Weights(name, hold=True)])
    changed.grad = torch.ones_like(changed)
    held.on_before_optimizer_step(cast(Any, SimpleNamespace()), cast(Any, model))
    assert changed.grad.abs().sum() == 0
