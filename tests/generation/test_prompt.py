"""Prompts of every length, and of none."""

from __future__ import annotations

import pytest

from lab.data.vocabulary import ByteTokenizer, CharTokenizer
from lab.generation import read_prompt


def test_a_prompt_that_fits_stays_as_it_is() -> None:
    prompt = read_prompt("héllo", ByteTokenizer(), 6)
    assert (prompt.tokens, prompt.text) == (list("héllo".encode()), "héllo")
    assert (prompt.dropped, prompt.notes) == (0, ())


def test_a_longer_one_keeps_its_end_and_says_how_much_went() -> None:
    prompt = read_prompt("0123456789", ByteTokenizer(), 4)
    assert (prompt.tokens, prompt.text, prompt.dropped) == (list(b"6789"), "6789", 6)
    assert "first 6 are dropped" in prompt.notes[0]


@pytest.mark.parametrize(
    ("tokenizer", "start", "name"),
    [
        (ByteTokenizer(), 256, "end-of-text"),
        (CharTokenizer("ab\n", end_of_text=True), 3, "end-of-text"),
        (CharTokenizer("ab\n"), 0, "new line"),
        (CharTokenizer("ab"), 0, "'a'"),
    ],
)
def test_an_empty_prompt_starts_somewhere_and_says_where(tokenizer, start: int, name: str) -> None:
    prompt = read_prompt("", tokenizer, 8)
    assert (prompt.tokens, prompt.text) == ([start], "")
    assert name in prompt.notes[0]


def test_characters_that_the_tokenizer_does_not_know_are_named() -> None:
    with pytest.raises(ValueError, match="U\\+0063"):
        read_prompt("abc", CharTokenizer("ab"), 8)
