"""What is lost without a head or an MLP."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from lab.interp import Edit, ablate, part_means, repeated_random_tokens, run_with_cache
from lab.interp.forward import forward
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
    found = ablate(model, tokens)
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


def test_a_part_that_always_says_the_same_is_not_missed() -> None:
    model = copy.deepcopy(lively(GPTConfig(**TINY)))
    with torch.no_grad():
        attn = block(model, 0).attn
        attn.qkv.weight[64 + 8 : 64 + 16] = 0  # the values of head 1: its bias alone is left
        block(model, 1).mlp.down.weight.zero_()
    tokens = random_tokens(CONFIG)
    by_mean, by_zero = ablate(model, tokens, part_means(model, tokens)), ablate(model, tokens)
    for found, is_near in ((by_mean, True), (by_zero, False)):  # zeros take the constant itself away too
        constants = np.abs([found.heads[0, 1], found.mlps[1]])
        assert (constants < 1e-5).all() if is_near else (constants > 1e-3).all()
        assert np.abs(found.heads[0, [0, 2, 3]]).min() > 1e-4


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_the_mean_is_that_of_another_text_and_the_error_that_of_paired_differences(config: GPTConfig) -> None:
    """The reference: hooks of the model itself, the text's own future left out of the mean."""
    model, tokens = lively(config), random_tokens(config)
    other = (random_tokens(config) + 7) % config.vocab_size
    means = part_means(model, other)
    assert means.tokens == other.numel()
    expected = run_with_cache(model, other)["mlp_out", 1].mean(dim=(0, 1))
    np.testing.assert_allclose(means.mlps[1], expected, atol=1e-5)

    def losses(edit: bool) -> torch.Tensor:
        sites = {("mlp_out", 1): expected.expand_as} if edit else {}
        logits = forward(model, tokens, Edit(model, sites))[:, :-1]
        return -logits.log_softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1).mean(-1)

    rise = (losses(True) - losses(False)).numpy()
    found = ablate(model, tokens, means)
    assert found.mean_over == other.numel()
    assert found.mlps[1] == pytest.approx(rise.mean(), abs=1e-5)
    assert found.mlp_errors[1] == pytest.approx(rise.std(ddof=1) / len(rise) ** 0.5, abs=1e-5)


def test_of_a_single_text_no_error_is_known() -> None:
    found = ablate(lively(CONFIG), random_tokens(CONFIG)[:1])
    assert np.isnan(found.head_errors).all()
    assert np.isnan(found.mlp_errors).all()
    assert np.isfinite(found.heads).all()


def test_both_heads_of_the_induction_model_are_needed() -> None:
    model = induction_model()
    found = ablate(model, repeated_random_tokens(16, 16, batch=4), part_means(model, repeated_random_tokens(16, 16, 8)))
    assert (found.heads > 0.2).all()
    assert (found.heads > 5 * found.head_errors).all()
    np.testing.assert_allclose(found.mlps, 0, atol=1e-6)  # silent by construction


def test_progress_is_told_after_each_forward_pass() -> None:
    told: list[tuple[int, int]] = []
    ablate(lively(CONFIG), random_tokens(CONFIG), progress=lambda done, of: told.append((done, of)))
    assert told == [(i, 11) for i in range(1, 12)]


def test_bad_input_is_refused() -> None:
    for function in (ablate, part_means):
        with pytest.raises(ValueError, match="outside the vocabulary"):
            function(lively(CONFIG), [1, 2, 300])
