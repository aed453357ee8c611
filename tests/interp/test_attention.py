"""Patterns, rollout, and a row of one step by step."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lab.interp import (
    ActivationCache,
    Sites,
    attention_patterns,
    attention_rollout,
    attention_row,
    run_with_cache,
)
from lab.model import GPTConfig
from tests.interp.models import lively, random_tokens
from tests.variants import TINY, all_pairs_configs, describe

CONFIG = GPTConfig(**TINY)
VARIANTS = pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)


@VARIANTS
def test_rows_sum_to_one_and_nobody_looks_ahead(config: GPTConfig) -> None:
    cache = run_with_cache(lively(config), random_tokens(config), "pattern")
    above = np.triu_indices(12, k=1)
    patterns = attention_patterns(cache)
    assert patterns.shape == (2, 2, 4, 12, 12)
    assert patterns.dtype == np.float32
    for stack in (patterns, attention_rollout(cache)):
        np.testing.assert_allclose(stack.sum(-1), 1, atol=1e-5)
        assert (stack[..., above[0], above[1]] == 0).all()
        assert (stack >= 0).all()


@VARIANTS
def test_both_attention_kernels_agree(config: GPTConfig) -> None:
    model, tokens = lively(config), random_tokens(config)
    explicit = run_with_cache(model, tokens).logits
    fused = run_with_cache(model, tokens, "logits").logits  # asks for no pattern
    torch.testing.assert_close(explicit, fused, atol=1e-4, rtol=1e-5)


def test_rollout_of_two_layers_by_hand() -> None:
    config = replace(CONFIG, n_heads=1)
    first = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    second = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    patterns = {f"blocks.{i}.attn.hook_pattern": p[None, None] for i, p in enumerate((first, second))}
    cache = ActivationCache(Sites(lively(config)), torch.tensor([[1, 2]]), patterns)
    # Layer 0 leaves position 1 with a quarter of token 0; layer 1 mixes half of that with half of token 0.
    expected = [[[1, 0], [0.25, 0.75]], [[1, 0], [0.5 + 0.5 * 0.25, 0.5 * 0.75]]]
    np.testing.assert_allclose(attention_rollout(cache)[:, 0], expected)


@VARIANTS
def test_a_row_step_by_step_ends_in_the_pattern(config: GPTConfig) -> None:
    model = lively(config)
    cache = run_with_cache(model, random_tokens(config), ("q", "k", "pattern", "attn_scores"))
    for layer, head, query, sequence in ((0, 0, 0, 0), (1, 3, 7, 1), (-1, 1, -1, 0)):
        row = attention_row(model, cache, layer, head, query, sequence)
        pattern = cache["pattern", layer][sequence, head, query].numpy()
        scores = cache["attn_scores", layer][sequence, head, query].numpy()
        visible = query % 12 + 1
        np.testing.assert_allclose(row.pattern, pattern, atol=1e-5)
        np.testing.assert_allclose(row.masked, scores, atol=1e-4, rtol=1e-5)
        assert (row.masked[visible:] == -math.inf).all()
        assert np.isfinite(row.scores).all()  # also those that the mask hides
        np.testing.assert_allclose(row.scores, row.dot_products / math.sqrt(8), rtol=1e-5)
        assert row.exponentials.max() == 1
        np.testing.assert_allclose(row.exponentials.sum(), row.total, rtol=1e-6)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ((5, 0, 0), "layer 5: there are 2"),
        ((0, 4, 0), "head 4: there are 4, from 0 to 3"),
        ((0, 0, 12), "query position 12: there are 12"),
        ((0, 0, 0, 2), "sequence 2: there are 2"),
    ],
)
def test_a_row_that_is_not_there_is_refused(where: tuple[int, ...], said: str) -> None:
    model = lively(CONFIG)
    cache = run_with_cache(model, random_tokens(CONFIG), ("q", "k"))
    with pytest.raises(ValueError, match=said):
        attention_row(model, cache, *where)
