"""Loss, rank and guesses at each token."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lab.interp import (
    ActivationCache,
    Sites,
    in_context_score,
    induction_loss,
    repeated_random_tokens,
    run_with_cache,
    token_losses,
    token_predictions,
)
from lab.model import GPTConfig
from tests.interp.models import lively, random_tokens
from tests.variants import TINY, all_pairs_configs, describe

CONFIG = GPTConfig(**TINY)


def with_losses(losses: list[float], tokens: torch.Tensor | None = None) -> ActivationCache:
    """A cache whose logits give the tokens after the first exactly these losses."""
    if tokens is None:
        tokens = random_tokens(CONFIG, batch=1, n_pos=len(losses) + 1)
    logits = torch.zeros(1, len(losses) + 1, 65)
    for t, loss in enumerate(losses):
        p = math.exp(-loss)
        logits[0, t] = math.log((1 - p) / 64)
        logits[0, t, tokens[0, t + 1]] = math.log(p)
    return ActivationCache(Sites(lively(CONFIG)), tokens, {"logits": logits})


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_predictions_are_those_of_the_model(config: GPTConfig) -> None:
    model, tokens = lively(config).eval(), random_tokens(config)
    cache = run_with_cache(model, tokens, "logits")
    found = token_predictions(cache, top_k=3)
    with torch.no_grad():
        probabilities = model(tokens).double().softmax(-1).numpy()
        expected_mean = float(model.loss(tokens[:, :-1], tokens[:, 1:]))
    assert found.loss.mean() == pytest.approx(expected_mean, abs=1e-5)
    np.testing.assert_array_equal(found.loss, token_losses(cache))
    for b in range(2):
        for t in range(11):
            p = probabilities[b, t]
            true = p[tokens[b, t + 1]]
            assert found.probability[b, t] == pytest.approx(true, abs=1e-5)
            assert found.loss[b, t] == pytest.approx(-math.log(true), abs=1e-3)
            assert found.rank[b, t] == (p > true).sum() + 1
    assert found.top_tokens.shape == (2, 12, 3)
    np.testing.assert_array_equal(found.top_tokens, np.argsort(-probabilities, axis=-1)[..., :3])
    np.testing.assert_allclose(found.top_probabilities, -np.sort(-probabilities)[..., :3], atol=1e-5)


def test_more_guesses_than_tokens_are_all_of_them() -> None:
    cache = run_with_cache(lively(CONFIG), random_tokens(CONFIG))
    found = token_predictions(cache, top_k=1000)
    assert found.top_tokens.shape[-1] == 65
    np.testing.assert_allclose(found.top_probabilities.sum(-1), 1, atol=1e-5)
    with pytest.raises(ValueError, match="top_k=0"):
        token_predictions(cache, top_k=0)


def test_context_that_helps_gives_a_negative_score() -> None:
    def score(losses: list[float]) -> float | None:
        return in_context_score(token_losses(with_losses(losses)))

    assert score([4, 4, 3, 2, 2, 2, 1, 1]) == pytest.approx(-3, abs=1e-4)
    assert score([2.0] * 7) == pytest.approx(0, abs=1e-5)
    assert score([1, 2, 3]) is None


def test_the_first_repeated_token_does_not_count() -> None:
    tokens = repeated_random_tokens(65, 4, batch=1)
    found = induction_loss(with_losses([4, 4, 4, 2, 0.5, 0.5, 0.5], tokens), period=4)
    assert found.first == pytest.approx(4, abs=1e-4)
    assert found.second == pytest.approx(0.5, abs=1e-4)
    assert found.gap == pytest.approx(3.5, abs=1e-4)


def test_a_text_of_one_token_is_refused() -> None:
    cache = run_with_cache(lively(CONFIG), [3])
    for analysis in (token_losses, token_predictions):
        with pytest.raises(ValueError, match="leaves nothing to predict"):
            analysis(cache)
