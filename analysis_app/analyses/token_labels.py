"""Tokens as labels for a page: whitespace visible, fragments of characters as hex.

label(b" the")  →  "·the"        label(b"\\n")  →  "⏎"        label(b"\\xe2\\x82")  →  "‹e2 82›"
"""

from __future__ import annotations

from collections.abc import Iterable

from lab.data.tokenizers import Tokenizer

VISIBLE = {" ": "·", "\n": "⏎", "\t": "⇥", "\r": "␍"}
GAP = "‹no token›"  # an id that the vocabulary leaves out


def label(piece: bytes | None) -> str:
    """The bytes of one token as visible characters, never empty.

    Fragments of characters and invisible ones (control and formatting characters, which could also turn the direction
    of the text around them) are written as hex. Markup stays as it is: the page shows text as text.
    """
    if piece is None:
        return GAP
    try:
        text = piece.decode("utf-8")
    except UnicodeDecodeError:
        return f"‹{piece.hex(' ')}›"
    return "".join(VISIBLE.get(c) or (c if c.isprintable() else f"‹{ord(c):x}›") for c in text) or "‹›"


def labels(tokenizer: Tokenizer, ids: Iterable[int]) -> list[str]:
    """One label for each id."""
    return [label(tokenizer.tokens[i]) for i in ids]
