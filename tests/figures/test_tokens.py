"""Tokens as labels: everything visible, nothing that a figure cannot draw."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.figures.canvas import Canvas, rendered
from lab.figures.style import theme
from lab.figures.tokens import numbered, shorten, show_token


@pytest.mark.parametrize(
    ("piece", "label"),
    [
        (b" the", "·the"),
        (b"\n", "⏎"),
        (b"\t\t", "⇥⇥"),
        (b"\r\n", "␍⏎"),
        ("é".encode(), "é"),
        (b"\xe2\x82", "‹e2 82›"),
        (b"\x00", "‹0›"),
        ("中".encode(), "‹4e2d›"),
        ("\u0301".encode(), "‹301›"),
        ("\u202e".encode(), "‹202e›"),
        (b"", "‹›"),
    ],
)
def test_labels(piece: bytes, label: str) -> None:
    assert show_token(piece) == label


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=6))
def test_every_label_can_be_drawn(piece: bytes) -> None:
    canvas = Canvas(theme(), 200, 60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of glyphs that a font lacks
        canvas.text(10, 20, show_token(piece))
        canvas.text(10, 40, show_token(piece), mono=True)
        rendered(canvas.figure)


def test_equal_tokens_are_told_apart() -> None:
    labels = numbered(["a", "b", "a"])
    assert len(set(labels)) == 3
    assert labels[2] == "2 a"


def test_long_labels_say_that_they_were_cut() -> None:
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("abcd", 4) == "abcd"
