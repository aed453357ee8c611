"""Neighbours and maps of token embeddings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lab.interp import PCABasis, embedding_pca, token_neighbours
from lab.model import GPT, GPTConfig
from tests.interp.models import lively
from tests.variants import TINY, all_pairs_configs, describe

CONFIG = GPTConfig(**TINY)


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_neighbours_are_the_largest_cosines(config: GPTConfig) -> None:
    model = lively(config)
    for side in ("input", "output"):
        module = model.token_embedding if side == "input" or model.unembedding is None else model.unembedding
        weight = module.weight.detach().numpy()[:65].astype(np.float64)
        unit = weight / np.linalg.norm(weight, axis=1, keepdims=True)
        found = token_neighbours(model, [3, 64], k=4, side=side)  # type: ignore[arg-type]
        for row, token in enumerate((3, 64)):
            cosines = unit @ unit[token]
            cosines[token] = -2
            np.testing.assert_array_equal(found.tokens[row], np.argsort(-cosines)[:4])
            np.testing.assert_allclose(found.cosines[row], np.sort(cosines)[::-1][:4], atol=1e-5)


def test_there_are_no_more_neighbours_than_other_tokens() -> None:
    found = token_neighbours(lively(CONFIG), [0], k=500)
    assert sorted(found.tokens[0].tolist()) == list(range(1, 65))


@pytest.mark.parametrize("config", all_pairs_configs(pad_vocab_to=64), ids=describe)
def test_the_map_is_that_of_a_singular_value_decomposition(config: GPTConfig) -> None:
    model = lively(config)
    found = embedding_pca(model, n_components=3)
    weight = model.token_embedding.weight.detach().numpy()[:65].astype(np.float64)
    centred = weight - weight.mean(0)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(vt[np.arange(3), np.abs(vt[:3]).argmax(1)])
    np.testing.assert_allclose(found.points, (u * s)[:, :3] * signs, atol=1e-4)
    np.testing.assert_allclose(found.basis.directions, vt[:3] * signs[:, None], atol=1e-4)
    np.testing.assert_allclose(found.explained, (s**2 / (s**2).sum())[:3], atol=1e-5)


def test_a_basis_handed_in_stays() -> None:
    early, late = lively(CONFIG, seed=1), lively(CONFIG, seed=2)
    last = embedding_pca(late, tokens=range(40))
    first = embedding_pca(early, tokens=[5, 6], basis=last.basis)
    assert first.basis is last.basis
    weight = early.token_embedding.weight.detach().numpy()[[5, 6]]
    np.testing.assert_allclose(first.points, (weight - last.basis.mean) @ last.basis.directions.T, atol=1e-5)
    again = embedding_pca(late, tokens=range(40), basis=last.basis)
    np.testing.assert_allclose(again.points, last.points, atol=1e-5)
    np.testing.assert_allclose(again.explained, last.explained, atol=1e-5)


def test_bad_input_is_refused() -> None:
    model = lively(CONFIG)
    for tokens in ([], [[1, 2]], [0.5], 3):
        with pytest.raises(ValueError, match="give a list of integer ids"):
            token_neighbours(model, tokens)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="token 65 is outside the vocabulary"):
        token_neighbours(model, [1, 65])
    with pytest.raises(ValueError, match="k=0"):
        token_neighbours(model, [1], k=0)
    with pytest.raises(ValueError, match="side 'both'"):
        embedding_pca(model, side="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 tokens, n_components=2"):
        embedding_pca(model, [1])
    with pytest.raises(ValueError, match="n_components=33"):
        embedding_pca(model, n_components=33)
    foreign = PCABasis(np.zeros(8, dtype=np.float32), np.eye(2, 8, dtype=np.float32))
    with pytest.raises(ValueError, match="this basis is 8 wide, the model 32"):
        embedding_pca(model, basis=foreign)


def test_a_broken_embedding_is_refused() -> None:
    model = GPT(CONFIG)
    with torch.no_grad():
        model.token_embedding.weight[4, 4] = float("inf")
    for analysis in (lambda: embedding_pca(model), lambda: token_neighbours(model, [1])):
        with pytest.raises(ValueError, match="NaN or infinity"):
            analysis()
