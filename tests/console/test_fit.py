"""The beginning that a fit's last words offer to go on from."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from lab.console.fit import opening_of


def data(text: str) -> SimpleNamespace:
    """Validation text whose tokens are characters."""
    return SimpleNamespace(
        tokenizer=SimpleNamespace(decode=lambda ids: "".join(map(chr, ids))),
        sequences=SimpleNamespace(val_stream=lambda n: np.array([ord(c) for c in text[:n]])),
        context_length=64,
    )


@pytest.mark.parametrize(
    ("text", "opening"),
    [
        ("?\n\nGREMIO:\nGood morrow, neighbour", "GREMIO:"),
        ("def size(config: GPTConfig) -> int:", "def size(config:"),
        ("\n\n.;.;.;\n!!", ".;.;.;"),
        ("\n\n\n", "\n\n\n"),
    ],
)
def test_the_first_words_are_words_where_there_are_any(text: str, opening: str) -> None:
    assert opening_of(data(text)) == opening
