"""A corpus made of lists, for tests of what comes after the corpus."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from lab.data.corpus import Piece

TEXT = "the quick brown fox jumps over the lazy dog naïve 世界 emoji 🙂 def return self x 12 345 ("
WORDS = TEXT.split()


@dataclass
class ListCorpus:
    """Two lists of texts."""

    train: list[str]
    val: list[str]
    has_documents: bool = True
    name: str = "list"

    def documents(self, split: str) -> Iterator[str]:
        yield from self.train if split == "train" else self.val

    def pieces(self, split: str) -> Iterator[Piece]:
        return (Piece(text, True) for text in self.documents(split))

    def size_bytes(self, split: str) -> int | None:
        return sum(len(text.encode("utf-8", "replace")) for text in self.documents(split))

    def fingerprint(self) -> str:
        return hashlib.sha256(repr((self.train, self.val)).encode("utf-8", "surrogatepass")).hexdigest()

    def describe(self) -> dict[str, str]:
        return {"source": "a test"}


def sentence(n_words: int, seed: int) -> str:
    """`n_words` words drawn by `seed`, some of more than one byte a character, with line breaks."""
    draw = random.Random(seed)
    return "".join(draw.choice(WORDS) + draw.choice("   \n") for _ in range(n_words))


@pytest.fixture
def corpus() -> ListCorpus:
    """Some documents of mixed text."""
    return ListCorpus([sentence(60, i) for i in range(40)], [sentence(60, 1000 + i) for i in range(10)])


@pytest.fixture
def make_corpus() -> Callable[..., ListCorpus]:
    """`ListCorpus` itself: (train texts, val texts, has_documents)."""
    return ListCorpus
