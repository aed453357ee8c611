"""Dead and saturated neurons, and where each is most active."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lab.interp import (
    neuron_activity,
    neuron_examples,
    run_with_cache,
)
from lab.model import GPT, GPTConfig
from tests.interp.models import lively, random_tokens
from tests.variants import TINY, all_pairs_configs, describe

CONFIG = GPTConfig(**TINY)


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_neurons_are_counted_over_all_tokens(config: GPTConfig) -> None:
    cache = run_with_cache(lively(config), random_tokens(config))
    activity = neuron_activity(cache)
    on = cache["mlp.pre", 1].numpy() > 0
    np.testing.assert_allclose(activity.on_rate[1], on.mean((0, 1)), atol=1e-6)
    assert activity.dead_share[1] == pytest.approx((~on.any((0, 1))).mean())
    assert activity.saturated_share[1] == pytest.approx(on.all((0, 1)).mean())
    assert activity.n_tokens == 24


@pytest.mark.parametrize("mlp", ["gelu", "relu2"])
def test_neurons_switched_off_and_on_by_their_bias_are_found(mlp: str) -> None:
    model = GPT(GPTConfig(**TINY, mlp=mlp))  # type: ignore[arg-type]
    with torch.no_grad():
        bias = model.blocks[1].mlp.up.bias  # type: ignore[union-attr]
        bias[:16] = -100  # type: ignore[index, operator]
        bias[16:24] = 100  # type: ignore[index, operator]
    cache = run_with_cache(model, random_tokens(CONFIG))
    activity = neuron_activity(cache)
    assert (activity.on_rate[1, :16] == 0).all()
    assert (activity.on_rate[1, 16:24] == 1).all()
    assert activity.dead_share[1] >= 16 / 128
    assert activity.saturated_share[1] >= 8 / 128
    if mlp == "relu2":
        assert (cache["mlp.post", 1][..., :16] == 0).all()


@pytest.mark.parametrize("config", all_pairs_configs()[:6], ids=describe)
def test_examples_are_the_largest_activations_wherever_they_stand(
    config: GPTConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lab.interp import estimate_bytes, neurons

    model, tokens = lively(config), random_tokens(config, batch=7)
    cache = run_with_cache(model, tokens, ("mlp.pre", "mlp.post"))
    monkeypatch.setattr(neurons, "BYTES_AT_ONCE", 2 * estimate_bytes(model, 1, 12, neurons.EXAMPLE_SITES))
    told: list[tuple[int, int]] = []
    found = neuron_examples(model, tokens, k=5, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    everything = cache["mlp.post", 1].numpy()
    expected = -np.sort(-everything.reshape(-1, everything.shape[-1]), axis=0)[:5].T
    np.testing.assert_allclose(found.values[1], expected, atol=1e-5)
    at = everything[found.sequences[1, 3], found.positions[1, 3], 3]
    np.testing.assert_allclose(at, found.values[1, 3], atol=1e-5)
    np.testing.assert_allclose(found.on_rate, neuron_activity(cache).on_rate, atol=1e-6)
    assert found.n_tokens == tokens.numel()


def test_no_more_examples_than_tokens() -> None:
    found = neuron_examples(lively(CONFIG), random_tokens(CONFIG, batch=1, n_pos=3), k=50)
    assert found.values.shape[-1] == 3
    with pytest.raises(ValueError, match="k=0"):
        neuron_examples(lively(CONFIG), random_tokens(CONFIG), k=0)
