"""Dead and saturated units, and histograms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lab.interp import (
    activation_histograms,
    histogram,
    linear_edges,
    run_with_cache,
    symmetric_log_edges,
    unit_activity,
    unit_examples,
)
from lab.model import GPT, GPTConfig
from tests.interp.models import lively, random_tokens
from tests.variants import TINY, all_pairs_configs, describe

CONFIG = GPTConfig(**TINY)


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_units_are_counted_over_all_tokens(config: GPTConfig) -> None:
    cache = run_with_cache(lively(config), random_tokens(config))
    activity = unit_activity(cache)
    on = cache["mlp.pre", 1].numpy() > 0
    np.testing.assert_allclose(activity.on_rate[1], on.mean((0, 1)), atol=1e-6)
    assert activity.dead_share[1] == pytest.approx((~on.any((0, 1))).mean())
    assert activity.saturated_share[1] == pytest.approx(on.all((0, 1)).mean())
    assert activity.n_tokens == 24


@pytest.mark.parametrize("mlp", ["gelu", "relu2"])
def test_units_switched_off_and_on_by_their_bias_are_found(mlp: str) -> None:
    model = GPT(GPTConfig(**TINY, mlp=mlp))  # type: ignore[arg-type]
    with torch.no_grad():
        bias = model.blocks[1].mlp.up.bias  # type: ignore[union-attr]
        bias[:16] = -100  # type: ignore[index, operator]
        bias[16:24] = 100  # type: ignore[index, operator]
    cache = run_with_cache(model, random_tokens(CONFIG))
    activity = unit_activity(cache)
    assert (activity.on_rate[1, :16] == 0).all()
    assert (activity.on_rate[1, 16:24] == 1).all()
    assert activity.dead_share[1] >= 16 / 128
    assert activity.saturated_share[1] >= 8 / 128
    if mlp == "relu2":
        assert (cache["mlp.post", 1][..., :16] == 0).all()


@given(st.lists(st.floats(-10, 10, width=32), min_size=1), st.integers(1, 20))
def test_counts_are_those_of_numpy(values: list[float], bins: int) -> None:
    edges = linear_edges(-4, 4, bins)
    counts = histogram(torch.tensor(values), edges)
    array = np.array(values, dtype=np.float32)
    assert counts[0] == (array < edges[0]).sum()
    assert counts[-1] == (array >= edges[-1]).sum()
    inside = array[(array >= edges[0]) & (array < edges[-1])]
    np.testing.assert_array_equal(counts[1:-1], np.histogram(inside, edges)[0])
    assert counts.sum() == len(values)


def test_logarithmic_edges_are_symmetric_and_grow() -> None:
    edges = symmetric_log_edges(1e-3, 1e2, per_decade=2)
    assert len(edges) == 22
    np.testing.assert_allclose(edges, -edges[::-1])
    assert (np.diff(edges) > 0).all()
    np.testing.assert_allclose(edges[[11, 13, 21]], [1e-3, 1e-2, 1e2], rtol=1e-6)


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_histograms_count_every_number_and_know_the_extremes(config: GPTConfig) -> None:
    cache = run_with_cache(lively(config), random_tokens(config))
    found = activation_histograms(cache)
    assert found.labels == [
        f"blocks.{i}.{name}"
        for i in range(2)
        for name in ("hook_attn_out", "mlp.hook_post", "hook_mlp_out", "hook_resid_post")
    ]
    for label, counts, low, high in zip(found.labels, found.counts, found.minimum, found.maximum, strict=True):
        x = cache[label].numpy()
        assert counts.sum() == x.size
        assert (low, high) == (x.min(), x.max())
        assert counts[0] == (x < -8).sum()
    again = activation_histograms(cache, ("resid_post",), edges=[-1, 0, 1])
    assert again.counts.shape == (2, 4)


def test_bad_histograms_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        histogram(torch.tensor([1.0, float("nan")]), [0, 1])
    for edges in ([1.0], [1.0, 0.0], [0.0, 0.0], [0.0, float("nan")], [[0.0, 1.0]]):
        with pytest.raises(ValueError, match="edges"):
            histogram(torch.ones(2), edges)
    with pytest.raises(ValueError, match="low must be below high"):
        linear_edges(1, 1)
    with pytest.raises(ValueError, match="0 < smallest < largest"):
        symmetric_log_edges(0, 1)
    with pytest.raises(ValueError, match="attention scores"):
        activation_histograms(run_with_cache(lively(CONFIG), random_tokens(CONFIG)), "attn_scores")


@pytest.mark.parametrize("config", all_pairs_configs()[:6], ids=describe)
def test_examples_are_the_largest_activations_wherever_they_stand(
    config: GPTConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lab.interp import estimate_bytes, units

    model, tokens = lively(config), random_tokens(config, batch=7)
    cache = run_with_cache(model, tokens, ("mlp.pre", "mlp.post"))
    monkeypatch.setattr(units, "BYTES_AT_ONCE", 2 * estimate_bytes(model, 1, 12, units.EXAMPLE_SITES))
    told: list[tuple[int, int]] = []
    found = unit_examples(model, tokens, k=5, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    everything = cache["mlp.post", 1].numpy()
    expected = -np.sort(-everything.reshape(-1, everything.shape[-1]), axis=0)[:5].T
    np.testing.assert_allclose(found.values[1], expected, atol=1e-5)
    at = everything[found.sequences[1, 3], found.positions[1, 3], 3]
    np.testing.assert_allclose(at, found.values[1, 3], atol=1e-5)
    np.testing.assert_allclose(found.on_rate, unit_activity(cache).on_rate, atol=1e-6)
    assert found.n_tokens == tokens.numel()


def test_no_more_examples_than_tokens() -> None:
    found = unit_examples(lively(CONFIG), random_tokens(CONFIG, batch=1, n_pos=3), k=50)
    assert found.values.shape[-1] == 3
    with pytest.raises(ValueError, match="k=0"):
        unit_examples(lively(CONFIG), random_tokens(CONFIG), k=0)
