"""The logit lens."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lab.interp import logit_lens, run_with_cache, token_predictions
from lab.interp.lens import lens_logits
from lab.model import GPTConfig
from tests.interp.models import lively, random_tokens
from tests.variants import TINY, all_pairs_configs, describe

CONFIG = GPTConfig(**TINY)


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_the_last_row_is_the_model_itself(config: GPTConfig) -> None:
    model = lively(config)
    cache = run_with_cache(model, random_tokens(config))
    np.testing.assert_allclose(lens_logits(model, cache, -1), cache.logits.numpy(), atol=1e-5)
    lens, said = logit_lens(model, cache), token_predictions(cache)
    assert lens.labels == ["0_pre", "1_pre", "final_post"]
    np.testing.assert_allclose(lens.target_loss[-1], said.loss, atol=1e-4)
    np.testing.assert_array_equal(lens.target_rank[-1], said.rank)
    np.testing.assert_array_equal(lens.top_tokens[-1], said.top_tokens)
    np.testing.assert_allclose(lens.top_probabilities[-1], said.top_probabilities, atol=1e-5)
    assert (lens.kl_to_final[-1] == 0).all()
    assert (lens.kl_to_final[:-1] > 0).all()


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_each_row_has_a_norm_of_its_own(config: GPTConfig) -> None:
    model = lively(config)
    cache = run_with_cache(model, random_tokens(config))
    stream = cache["resid_pre", 1].double().numpy()
    weights = {name: x.double().numpy() for name, x in model.state_dict().items()}
    if config.norm_position == "pre":
        if config.norm == "layernorm":
            stream = stream - stream.mean(-1, keepdims=True)
        stream = stream / np.sqrt((stream**2).mean(-1, keepdims=True) + 1e-5) * weights["ln_final.weight"]
        stream = stream + weights.get("ln_final.bias", 0)
    head = weights.get("unembedding.weight", weights["token_embedding.weight"])
    logits = (stream @ head.T)[..., : config.vocab_size]
    if config.logit_softcap is not None:
        logits = config.logit_softcap * np.tanh(logits / config.logit_softcap)
    np.testing.assert_allclose(lens_logits(model, cache, 1), logits, atol=1e-3)
    top = np.exp(logits - logits.max(-1, keepdims=True))
    top /= top.sum(-1, keepdims=True)
    lens = logit_lens(model, cache, top_k=2)
    np.testing.assert_allclose(lens.top_probabilities[1], -np.sort(-top)[..., :2], atol=1e-4)
    final = cache.logits.double().softmax(-1).numpy()
    divergence = (final * (np.log(final) - np.log(top))).sum(-1)
    np.testing.assert_allclose(lens.kl_to_final[1], divergence, atol=1e-3)


def test_a_text_of_one_token_has_guesses_but_no_targets() -> None:
    model = lively(CONFIG)
    lens = logit_lens(model, run_with_cache(model, [3]))
    assert lens.top_tokens.shape == (3, 1, 1, 5)
    assert lens.target_loss.shape == (3, 1, 0)


def test_bad_rows_are_refused() -> None:
    model = lively(CONFIG)
    cache = run_with_cache(model, random_tokens(CONFIG))
    with pytest.raises(ValueError, match="lens row 3: there are 3, from 0 to 2"):
        lens_logits(model, cache, 3)
    with pytest.raises(ValueError, match="top_k=0"):
        logit_lens(model, cache, top_k=0)
    with pytest.raises(ValueError, match="was not recorded"):
        logit_lens(model, run_with_cache(model, torch.tensor([1, 2]), "logits"))
