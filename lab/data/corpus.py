"""What a corpus is: text in two splits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")


class Corpus(Protocol):
    """Text in two splits. `has_documents`: an end-of-text token stands after each text that `documents` gives; without,
    they are pieces of one stream and are to be joined as they are."""

    @property
    def name(self) -> str: ...
    @property
    def has_documents(self) -> bool: ...
    def documents(self, split: Split) -> Iterator[str]:
        """The texts of `split`, in one fixed order."""

    def size_bytes(self, split: Split) -> int | None:
        """About how many bytes of UTF-8 that is, for a progress bar; `None` where only reading tells."""

    def fingerprint(self) -> str:
        """sha256 of the content and of all that decides the splits: equal where both splits are."""
