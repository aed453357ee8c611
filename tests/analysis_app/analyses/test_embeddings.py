"""The map of embeddings, neighbours, and kinds of tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lab
from analysis_app.analyses.embeddings import embedding_map, find_token, kind, neighbours
from analysis_app.library import Library
from lab import interp


def test_the_map_of_embeddings_keeps_its_directions(library: Library, runs: Path) -> None:
    last, first = lab.load("tiny", root=runs), lab.load("tiny", step=0, root=runs)
    fitted = interp.embedding_pca(last.model)
    expected = interp.embedding_pca(first.model, basis=fitted.basis)
    found = embedding_map(library, "tiny", 0)
    np.testing.assert_allclose(found["points"], expected.points, atol=1e-5)
    assert (found["step"], found["fitted_step"]) == (0, library.steps("tiny")[-1])
    assert found["extent"] == pytest.approx(abs(fitted.points).max(), rel=1e-5)
    assert found["extent"] == embedding_map(library, "tiny")["extent"]
    assert found["ids"] == list(range(last.tokenizer.vocab_size))
    token = last.tokenizer.encode("t")[0]
    near = neighbours(library.open("tiny"), int(token), 3)
    assert near["ids"] == interp.token_neighbours(last.model, [token], 3).tokens[0].tolist()
    assert find_token(library.open("tiny"), "t") == {"id": int(token), "token": "t"}
    with pytest.raises(ValueError, match="no single token"):
        find_token(library.open("tiny"), "th")


@pytest.mark.parametrize(
    ("piece", "expected"),
    [
        (b" the", "lower case"),
        (b"The", "capital"),
        (b" 7", "digit"),
        (b"\n", "space"),
        (b"<", "punctuation"),
        (b"\xe2", "other"),
        (None, "other"),
    ],
)
def test_kinds_of_tokens(piece: bytes | None, expected: str) -> None:
    assert kind(piece) == expected
