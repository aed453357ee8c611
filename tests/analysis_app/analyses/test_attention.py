"""Patterns, head scores and rows are those of `lab.interp` on the same model and tokens."""

from __future__ import annotations

import numpy as np
import pytest

from analysis_app.analyses.attention import attention
from analysis_app.library import Library, NotFoundError
from lab import interp

TEXT = "the cat sat"


def test_attention_is_that_of_interp(library: Library, loaded) -> None:
    model, tokenizer = loaded
    cache = interp.run_with_cache(model, tokenizer.encode(TEXT), interp.PATTERN_SITES)
    expected = interp.attention_patterns(cache)[:, 0]
    found = attention(library.open("tiny"), text=TEXT)
    np.testing.assert_array_equal(found["patterns"], expected)
    np.testing.assert_array_equal(attention(library.open("tiny"), text=TEXT, layer=1)["patterns"], expected[1])
    one = attention(library.open("tiny"), text=TEXT, layer=1, head=0)
    np.testing.assert_array_equal(one["patterns"], expected[1, :1])
    entropy = next(score for score in found["scores"] if score.name == "entropy")
    np.testing.assert_array_equal(entropy.values, interp.attention_entropy(cache).values)
    assert {score.name for score in found["scores"]} >= {"induction", "previous token", "first token"}
    assert found["source"].tokens == ["t", "h", "e", "·", "c", "a", "t", "·", "s", "a", "t"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x" * 17, "17 tokens.*looks at 16.*leave out 1"),
        ("", "type at least 2"),
        ("t", "type at least 2"),
        ("tσe", "σ"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_in_words(library: Library, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        attention(library.open("tiny"), text=text)


def test_what_is_not_there_is_named(library: Library) -> None:
    with pytest.raises(NotFoundError, match="tiny"):
        attention(library.open("tinny"))
    with pytest.raises(NotFoundError, match="no weights of step 999"):
        attention(library.open("tiny", 999))
    with pytest.raises(NotFoundError, match="layer 2: there are 2"):
        attention(library.open("tiny"), layer=2)
