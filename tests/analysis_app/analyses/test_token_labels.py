"""Tokens as labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis_app.analyses.token_labels import label


@pytest.mark.parametrize(
    ("piece", "shown"),
    [
        (b" the", "·the"),
        (b"\n", "⏎"),
        (b"\t\r", "⇥␍"),
        (b"\xe2\x82", "‹e2 82›"),
        ("é🙂".encode(), "é🙂"),
        ("\u202e".encode(), "‹202e›"),  # would turn the direction of what follows
        (b"\x1b", "‹1b›"),
        (b"", "‹›"),
        (None, "‹no token›"),
    ],
)
def test_labels(piece: bytes | None, shown: str) -> None:
    assert label(piece) == shown


@given(st.binary())
def test_every_label_can_be_seen(piece: bytes) -> None:
    assert label(piece).isprintable()
    assert label(piece)
