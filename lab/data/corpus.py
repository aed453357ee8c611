"""What a corpus is: text in two splits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")


class Piece(NamedTuple):
    """A stretch of text: a whole document, or a part of a long one; `starts` where a document begins."""

    text: str
    starts: bool


class Content(Protocol):
    """What a text is known by. `has_documents`: an end-of-text token stands after each document; without, all is one
    stream that has no end."""

    @property
    def has_documents(self) -> bool: ...
    def fingerprint(self) -> str:
        """sha256 of the content and of all that decides the splits: equal where both splits are."""


class Corpus(Content, Protocol):
    """Text in two splits."""

    @property
    def name(self) -> str: ...
    def pieces(self, split: Split) -> Iterator[Piece]:
        """The text of `split` in one fixed order, a few MB at a time."""

    def size_bytes(self, split: Split) -> int:
        """How many bytes of UTF-8 that is."""


def utf8_bytes(text: str) -> int:
    """Bytes that a text takes as UTF-8; at once where all of it is ASCII."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
