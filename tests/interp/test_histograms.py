from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lab.interp import activation_histograms, histogram, linear_edges, run_with_cache, symmetric_log_edges
from lab.model import GPTConfig
from tests.interp.models import lively, random_tokens
from tests.variants import TINY, all_pairs_configs, describe

CONFIG = GPTConfig(**TINY)


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
