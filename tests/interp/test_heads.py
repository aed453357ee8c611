"""Scores of heads, on patterns made for the purpose and on a model whose weights are set by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lab.interp import (
    ActivationCache,
    HeadScore,
    Sites,
    attention_distance,
    attention_entropy,
    duplicate_token_score,
    first_token_attention,
    induction_loss,
    induction_score,
    largest_score,
    previous_token_score,
    repeated_random_tokens,
    run_with_cache,
)
from lab.model import GPT, GPTConfig
from tests.interp.models import induction_model, lively, random_tokens

PERIOD = 8
CONFIG = GPTConfig(n_layers=1, n_heads=2, d_model=8, context_length=16, vocab_size=65)


def crafted(first: Tensor, second: Tensor) -> ActivationCache:
    """A cache of one layer of two heads with these patterns `[query, key]`, over repeated tokens."""
    tokens = repeated_random_tokens(65, PERIOD, batch=1)
    pattern = torch.stack([first, second])[None]
    return ActivationCache(Sites(lively(CONFIG)), tokens, {"blocks.0.attn.hook_pattern": pattern})


def looking_back(distance: int) -> Tensor:
    """Each query reads the key `distance` before it; those without one read themselves."""
    keys = [q - distance if q >= distance else q for q in range(16)]
    return torch.eye(16)[keys]


UNIFORM = torch.tril(torch.ones(16, 16)) / torch.arange(1, 17).unsqueeze(1)
SINK = torch.eye(16)[[0] * 16]


@pytest.mark.parametrize(
    ("score", "distance"),
    [
        (lambda cache: previous_token_score(cache), 1),
        (lambda cache: previous_token_score(cache, PERIOD), 1),
        (lambda cache: duplicate_token_score(cache, PERIOD), PERIOD),
        (lambda cache: induction_score(cache, PERIOD), PERIOD - 1),
    ],
)
def test_a_head_made_for_it_scores_one_and_an_even_one_chance(score: object, distance: int) -> None:
    found: HeadScore = score(crafted(looking_back(distance), UNIFORM))  # type: ignore[operator]
    assert found.values[0, 0] == 1
    assert found.values[0, 1] == pytest.approx(found.chance)
    for other in {2, PERIOD, PERIOD - 1} - {distance}:
        assert score(crafted(looking_back(other), looking_back(0))).values.max() == 0  # type: ignore[operator]


def test_the_standard_error_is_that_of_a_mean_over_the_texts_of_the_batch() -> None:
    tokens = repeated_random_tokens(65, PERIOD, batch=5)
    cache = run_with_cache(lively(CONFIG), tokens, ("pattern",))
    found = induction_score(cache, PERIOD)
    pattern = cache.stack("pattern").numpy()[0].astype(float)  # [text, head, query, key]
    each = np.mean([pattern[:, :, q, q - PERIOD + 1] for q in range(PERIOD, 2 * PERIOD)], axis=0)
    np.testing.assert_allclose(found.values[0], each.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.errors[0], standard_error(each), rtol=1e-4)
    alone = induction_score(run_with_cache(lively(CONFIG), tokens[:1], ("pattern",)), PERIOD)
    assert np.isnan(alone.errors).all(), "one text has no spread"


def standard_error(each: np.ndarray) -> np.ndarray:
    """The standard error of the mean over the first axis."""
    deviation = each - each.mean(0)
    return np.sqrt((deviation**2).sum(0) / (len(each) - 1) / len(each))


def test_chance_is_what_an_even_head_gets() -> None:
    cache = crafted(UNIFORM, SINK)
    assert induction_score(cache, PERIOD).chance == pytest.approx(np.mean([1 / (q + 1) for q in range(8, 16)]))
    assert first_token_attention(cache).chance == pytest.approx(np.mean([1 / (q + 1) for q in range(1, 16)]))
    for score in (attention_entropy(cache), first_token_attention(cache), attention_distance(cache)):
        assert score.values[0, 0] == pytest.approx(score.chance)


def test_a_sink_reads_the_first_token_alone() -> None:
    cache = crafted(SINK, looking_back(0))
    assert first_token_attention(cache).values.tolist() == [[1, 0]]
    assert attention_entropy(cache).values.tolist() == [[0, 0]]
    assert attention_distance(cache).values.tolist() == [[8, 0]]  # the mean of 1 … 15


def test_entropy_is_a_share_of_the_most_that_each_row_could_have() -> None:
    half = torch.eye(16)
    half[1:] = 0
    half[1:, :2] = 0.5  # two keys in every row but the first
    expected = np.mean([math.log(2) / math.log(q + 1) for q in range(1, 16)])
    assert attention_entropy(crafted(half, SINK)).values[0, 0] == pytest.approx(expected)


def test_an_induction_head_set_by_hand_is_found() -> None:
    model = induction_model(vocab_size=16, period=16)
    cache = run_with_cache(model, repeated_random_tokens(16, 16, batch=4, seed=3))
    previous, induction = previous_token_score(cache, 16), induction_score(cache, 16)
    assert previous.values[0, 0] > 0.99
    assert induction.values[1, 0] > 0.99
    assert induction.values[0, 0] < 0.01
    assert previous.values[1, 0] < 0.01
    loss = induction_loss(cache, 16)
    assert loss.second < 0.2
    assert loss.gap == pytest.approx(loss.first - loss.second)
    assert loss.gap > 1


def test_an_untrained_model_is_at_chance() -> None:
    config = GPTConfig(n_layers=2, n_heads=4, d_model=32, context_length=32, vocab_size=65)
    torch.manual_seed(0)
    cache = run_with_cache(GPT(config), repeated_random_tokens(65, 16, batch=8))
    for score in (
        previous_token_score(cache, 16),
        duplicate_token_score(cache, 16),
        induction_score(cache, 16),
    ):
        np.testing.assert_allclose(score.values, score.chance, rtol=0.2)
    assert abs(induction_loss(cache, 16).gap) < 0.1


def test_more_than_one_repeat_counts_too() -> None:
    model = induction_model(vocab_size=16, period=16)
    tokens = repeated_random_tokens(16, 8, batch=4).repeat(1, 2)
    cache = run_with_cache(model, tokens)
    # The third and fourth block have several earlier copies to choose from.
    assert 0.3 < induction_score(cache, 8).values[1, 0] < 1
    assert induction_loss(cache, 8).second < 0.2


def test_repeated_tokens_are_fresh_blocks_written_twice() -> None:
    tokens = repeated_random_tokens(40, 32, batch=5, seed=7)
    assert tokens.shape == (5, 64)
    assert tokens.dtype == torch.int64
    assert torch.equal(tokens[:, :32], tokens[:, 32:])
    assert all(len(set(row)) == 32 for row in tokens[:, :32].tolist())  # without replacement
    assert 0 <= int(tokens.min()) <= int(tokens.max()) < 40
    assert len({tuple(row) for row in tokens.tolist()}) == 5
    assert torch.equal(tokens, repeated_random_tokens(40, 32, batch=5, seed=7))
    assert not torch.equal(tokens, repeated_random_tokens(40, 32, batch=5, seed=8))


def test_blocks_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(ValueError, match=r"(?s)batch=0.*length=33 tokens without replacement.*at most 32"):
        repeated_random_tokens(32, 33, batch=0)
    with pytest.raises(ValueError, match="at least 2 tokens"):
        repeated_random_tokens(32, 1)


def test_text_that_does_not_repeat_is_refused() -> None:
    config = GPTConfig(n_layers=1, n_heads=2, d_model=8, context_length=16, vocab_size=65)
    cache = run_with_cache(lively(config), random_tokens(config))
    with pytest.raises(ValueError, match="do not repeat with period 6"):
        induction_score(cache, 6)
    for period in (1, 11, -3):
        with pytest.raises(ValueError, match=f"period={period}"):
            duplicate_token_score(cache, period)


def test_a_text_of_one_token_is_refused() -> None:
    cache = run_with_cache(lively(CONFIG), [3])
    for score in (attention_entropy, first_token_attention, attention_distance, previous_token_score):
        with pytest.raises(ValueError, match="a text of one token"):
            score(cache)


def test_the_largest_score_is_over_what_may_be_seen() -> None:
    cache = run_with_cache(lively(CONFIG), random_tokens(CONFIG))
    scores = cache["attn_scores", 0].numpy()
    visible = np.tril(np.ones((12, 12), dtype=bool))
    for head in range(2):
        assert largest_score(cache)[0, head] == scores[:, head][:, visible].max()
