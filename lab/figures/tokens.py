"""Tokens as labels: whitespace visible, fragments of characters as hex, nothing that the font lacks.

show_token(b" the")  →  "·the"        show_token(b"\\n")  →  "⏎"        show_token(b"\\xe2\\x82")  →  "‹e2 82›"
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

VISIBLE = {" ": "·", "\n": "⏎", "\t": "⇥", "\r": "␍"}
ELLIPSIS = "…"


def show_token(piece: bytes) -> str:
    """The bytes of one token as a label of visible characters, never empty.

    Bytes that are no whole characters, as byte-level vocabularies have them, are written as hex, and so is
    what a figure could not draw: control characters, combining marks alone, scripts outside its font.
    """
    if not piece:
        return "‹›"
    try:
        return "".join(_show_character(c) for c in piece.decode("utf-8"))
    except UnicodeDecodeError:
        return f"‹{piece.hex(' ')}›"


def shorten(label: str, most: int) -> str:
    """`label`, or its beginning and an ellipsis where it has more than `most` characters."""
    return label if len(label) <= most else label[: most - 1] + ELLIPSIS


def numbered(labels: Sequence[str], most: int = 12) -> list[str]:
    """Labels that tell two equal tokens apart: each with its position, `3 the`."""
    return [f"{i} {shorten(label, most)}" for i, label in enumerate(labels)]


def _show_character(character: str) -> str:
    if character in VISIBLE:
        return VISIBLE[character]
    if not unicodedata.combining(character) and character.isprintable() and ord(character) in _drawable():
        return character
    return f"‹{ord(character):x}›"


@cache
def _drawable() -> frozenset[int]:
    """Code points that the figures' two fonts both have."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    from lab.figures.style import FONT

    fonts = (findfont(FontProperties(family=family)) for family in (FONT, f"{FONT} Mono"))  # fmt: skip
    return frozenset.intersection(*(frozenset(get_font(path).get_charmap()) for path in fonts))
