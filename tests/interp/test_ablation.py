"""What is lost without a head or an MLP."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from lab.interp import ablate, repeated_random_tokens
from lab.model import GPT, GPTConfig
from lab.model.gpt import Block
from tests.interp.models import induction_model, lively, random_tokens
from tests.variants import TINY, all_pairs_configs, describe

CONFIG = GPTConfig(**TINY)


def block(model: GPT, layer: int) -> Block:
    found = model.blocks[layer]
    assert isinstance(found, Block)
    return found


def loss(model: GPT, tokens: torch.Tensor) -> float:
    with torch.no_grad():
        return float(model.eval().loss(tokens[:, :-1], tokens[:, 1:]))


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_zeroing_a_part_is_the_model_without_it(config: GPTConfig) -> None:
    """The reference: the same model with the weights that read the part set to 0."""
    model, tokens = lively(config), random_tokens(config)
    found = ablate(model, tokens, "zero")
    assert found.loss == pytest.approx(loss(model, tokens), abs=1e-5)
    assert found.heads.shape == (2, 4)
    without_head, without_mlp = copy.deepcopy(model), copy.deepcopy(model)
    with torch.no_grad():
        block(without_head, 1).attn.out.weight[:, 16:24] = 0  # head 2 of width 8
        down = block(without_mlp, 0).mlp.down
        down.weight.zero_()
        if down.bias is not None:
            down.bias.zero_()
    assert found.heads[1, 2] == pytest.approx(loss(without_head, tokens) - found.loss, abs=1e-4)
    assert found.mlps[0] == pytest.approx(loss(without_mlp, tokens) - found.loss, abs=1e-4)


@pytest.mark.parametrize("mode", ["mean", "zero"])
def test_a_part_that_always_says_the_same_is_not_missed(mode: str) -> None:
    model = copy.deepcopy(lively(GPTConfig(**TINY)))
    with torch.no_grad():
        attn = block(model, 0).attn
        attn.qkv.weight[64 + 8 : 64 + 16] = 0  # the values of head 1: its bias alone is left
        block(model, 1).mlp.down.weight.zero_()
    found = ablate(model, random_tokens(CONFIG), mode)  # type: ignore[arg-type]
    constants = np.array([found.heads[0, 1], found.mlps[1]])
    if mode == "mean":
        np.testing.assert_allclose(constants, 0, atol=1e-5)
    else:
        assert (np.abs(constants) > 1e-3).all()  # the constant itself is gone too
    assert np.abs(found.heads[0, [0, 2, 3]]).min() > 1e-4


def test_both_heads_of_the_induction_model_are_needed() -> None:
    found = ablate(induction_model(), repeated_random_tokens(16, 16, batch=4))
    assert (found.heads > 0.2).all()
    np.testing.assert_allclose(found.mlps, 0, atol=1e-6)  # silent by construction


def test_progress_is_told_after_each_forward_pass() -> None:
    told: list[tuple[int, int]] = []
    ablate(lively(CONFIG), random_tokens(CONFIG), progress=lambda done, of: told.append((done, of)))
    assert told == [(i, 11) for i in range(1, 12)]


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="mode 'median': choose one of mean, zero"):
        ablate(lively(CONFIG), [1, 2, 3], "median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="outside the vocabulary"):
        ablate(lively(CONFIG), [1, 2, 300])
