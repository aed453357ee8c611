"""Norms and directions along the residual stream."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lab.interp import RESIDUAL_SITES, Edit, branch_cosines, head_norms, residual_norms, run_with_cache
from lab.model import GPT, GPTConfig
from tests.interp.models import lively, random_tokens
from tests.variants import TINY, all_pairs_configs, describe


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_norms_are_lengths_and_cosines_directions(config: GPTConfig) -> None:
    cache = run_with_cache(lively(config), random_tokens(config))
    norms, cosines = residual_norms(cache), branch_cosines(cache)
    assert norms.labels == ["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"]
    assert norms.values.shape == (5, 2, 2, 12)
    assert cosines.labels == ["attn_out", "mlp_out"]
    by_name = dict(zip(norms.labels, norms.values, strict=True))
    np.testing.assert_array_equal(by_name["resid_post"][0], by_name["resid_pre"][1])
    for name in RESIDUAL_SITES:
        expected = np.sqrt((cache[name, 1].numpy().astype(np.float64) ** 2).sum(-1))
        np.testing.assert_allclose(by_name[name][1], expected, rtol=1e-5)
    for branch, stream, found in zip(("attn_out", "mlp_out"), ("resid_pre", "resid_mid"), cosines.values, strict=True):
        a, b = cache[branch, 1].numpy(), cache[stream, 1].numpy()
        expected = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
        np.testing.assert_allclose(found[1], expected, atol=1e-5)


def test_a_branch_that_adds_nothing_has_no_direction() -> None:
    torch.manual_seed(0)
    config = GPTConfig(**TINY, zero_init=True)
    cosines = branch_cosines(run_with_cache(GPT(config), random_tokens(config)))
    assert (cosines.values == 0).all()


# Under post-norm what attention adds is normalised before it can be compared.
@pytest.mark.parametrize("config", [c for c in all_pairs_configs() if c.norm_position == "pre"], ids=describe)
def test_what_a_head_writes_is_what_goes_missing_without_it(config: GPTConfig) -> None:
    model, tokens = lively(config), random_tokens(config)
    whole = run_with_cache(model, tokens, ("z", "attn_out"))

    def without(z: torch.Tensor) -> torch.Tensor:
        z[:, :, 1] = 0
        return z

    missing = run_with_cache(model, tokens, ("attn_out",), edit=Edit(model, {("z", 0): without}))
    expected = (whole["attn_out", 0] - missing["attn_out", 0]).norm(dim=-1)
    np.testing.assert_allclose(head_norms(model, whole)[0, :, 1], expected.numpy(), rtol=1e-3, atol=1e-4)
