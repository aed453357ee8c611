"""Direct logit attribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lab.interp import ATTRIBUTION_SITES, Edit, direct_logit_attribution, run_with_cache
from lab.model import GPTConfig
from tests.interp.models import lively, random_tokens
from tests.variants import TINY, all_pairs_configs, describe

CONFIG = GPTConfig(**TINY)


@pytest.mark.parametrize("config", all_pairs_configs(norm_position="pre"), ids=describe)
def test_the_parts_add_up_to_the_logit_before_any_soft_cap(config: GPTConfig) -> None:
    model = lively(config)
    tokens = random_tokens(config)
    cache = run_with_cache(model, tokens, ATTRIBUTION_SITES)
    targets = torch.roll(tokens, -1, dims=1)
    found = direct_logit_attribution(model, cache, targets.numpy(), centred=False)
    np.testing.assert_array_equal(found.targets, targets.numpy())
    assert found.error < 1e-4
    assert not found.centred
    np.testing.assert_allclose(found.values.sum(0), found.logits, atol=1e-4)
    cap = config.logit_softcap
    capped = found.logits if cap is None else cap * np.tanh(found.logits / cap)
    said = cache.logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1).numpy()
    np.testing.assert_allclose(capped, said, atol=1e-4)
    assert len(found.labels) == len(found.values) == len(set(found.labels))
    assert ("pos_embed" in found.labels) == (config.positions == "learned")
    assert ("1_attn_bias" in found.labels) == config.bias
    assert ("ln_final_bias" in found.labels) == (config.bias and config.norm == "layernorm")


def test_a_head_is_credited_with_what_it_adds() -> None:
    """With the final scale frozen, taking a head of the last layer out lowers the logit by just its part."""
    config = GPTConfig(**TINY, norm="rmsnorm", bias=False)
    model = lively(config)
    tokens = random_tokens(config)
    cache = run_with_cache(model, tokens)
    found = direct_logit_attribution(model, cache, targets=7, centred=False)

    def without(z: torch.Tensor) -> torch.Tensor:
        z[:, :, 2] = 0
        return z

    # The MLP after it shall see what it saw before, and the final norm divide by what it divided by.
    mlp_out = cache["mlp_out", 1]
    edit = Edit(model, {("z", 1): without, ("mlp_out", 1): lambda x: mlp_out})
    stream = run_with_cache(model, tokens, "resid_post", edit=edit)["resid_post", -1]
    scale = (cache["resid_post", -1].square().mean(-1, keepdim=True) + 1e-5).sqrt()
    with torch.no_grad():
        logit = (stream / scale * model.ln_final.weight) @ model.token_embedding.weight[7]  # type: ignore[union-attr, operator]
    part = found.values[found.labels.index("L1H2")]
    np.testing.assert_allclose(found.logits - logit.numpy(), part, atol=1e-4)
    assert np.abs(part).max() > 0.1


def test_the_first_guess_is_the_default_and_versus_a_difference() -> None:
    model = lively(CONFIG)
    cache = run_with_cache(model, random_tokens(CONFIG))
    best = cache.logits.argmax(-1).numpy()
    default = direct_logit_attribution(model, cache)
    np.testing.assert_array_equal(default.targets, best)
    other = direct_logit_attribution(model, cache, targets=3)
    difference = direct_logit_attribution(model, cache, targets=best, versus=3)
    np.testing.assert_allclose(difference.values, default.values - other.values, atol=1e-4)
    np.testing.assert_allclose(difference.logits, default.logits - other.logits, atol=1e-4)


@pytest.mark.parametrize("config", all_pairs_configs(norm_position="pre"), ids=describe)
def test_centred_over_the_vocabulary_nothing_supports_all_tokens(config: GPTConfig) -> None:
    model = lively(config)
    cache = run_with_cache(model, random_tokens(config), ATTRIBUTION_SITES)
    of_all = [direct_logit_attribution(model, cache, token) for token in range(config.vocab_size)]
    assert all(found.error < 1e-4 for found in of_all)
    np.testing.assert_allclose(np.mean([found.values for found in of_all], axis=0), 0, atol=1e-4)
    raw = [direct_logit_attribution(model, cache, token, centred=False) for token in range(config.vocab_size)]
    mean = np.mean([found.values for found in raw], axis=0)
    np.testing.assert_allclose(of_all[3].values, raw[3].values - mean, atol=1e-4)
    # The probabilities are the same: a logit less the mean of all of them.
    given = torch.tensor(np.stack([found.logits for found in of_all], -1))
    cap = config.logit_softcap
    if cap is None:
        np.testing.assert_allclose(given.softmax(-1), cache.logits.softmax(-1), atol=1e-4)


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (65, "token 65 at position 0 of sequence 0 is outside"),
        (np.zeros((3, 3), dtype=int), r"targets of shape \[3, 3\] don't fit"),
        (0.5, "give integer ids"),
    ],
)
def test_bad_targets_are_refused(targets: object, said: str) -> None:
    model = lively(CONFIG)
    cache = run_with_cache(model, random_tokens(CONFIG))
    with pytest.raises(ValueError, match=said):
        direct_logit_attribution(model, cache, targets)  # type: ignore[arg-type]


def test_under_post_norm_it_does_not_apply() -> None:
    config = GPTConfig(**TINY, norm_position="post")
    model = lively(config)
    with pytest.raises(ValueError, match="direct logit attribution does not apply to norm_position='post'"):
        direct_logit_attribution(model, run_with_cache(model, random_tokens(config)))
