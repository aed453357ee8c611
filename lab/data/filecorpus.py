"""A corpus in files, split in two as it is read.

The model must not have seen held-out text. Where there are documents, each goes as a whole to one side, by a hash of
its content and the seed: a document that occurs twice is on the same side twice, and adding one moves no other. Text
without documents (one file, one book) is cut once: the first part trains, the rest is held out.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from lab.data.checksum import noted_sha256
from lab.data.corpus import Piece, Split
from lab.data.text_files import kind_of, read_pieces, text_bytes

VAL_FRACTION = 0.1
_RECIPE = 1  # part of every fingerprint: raise it when the same files would give other documents


class _Rule(NamedTuple):
    """How a corpus is split: documents whose share lies under `threshold` are held out; or, in one stream, everything
    from character `cut` on."""

    threshold: float | None = None
    cut: int | None = None


@dataclass(frozen=True)
class FileCorpus:
    """A corpus in files.

    Args:
        name: What it was asked for as.
        files: In the order they are read.
        val_files: The held-out text, where the publisher chose one; else it is split here.
        val_fraction: Share that is held out, of the documents, or of the characters of a single stream.
        seed: Chooses which documents are held out.
        text_key: The field of `.jsonl` and the column of `.parquet` that holds the text.
        max_documents: Read at most this many, from the first on (of each published split).
        max_bytes: Read at most this many bytes of text, from the first on.
        facts: What `describe` adds: source, licence, address.

    Raises `ValueError` when read, for text that is not there or cannot be split.
    """

    name: str
    files: Sequence[Path]
    val_files: Sequence[Path] = ()
    val_fraction: float = VAL_FRACTION
    seed: int = 1337
    text_key: str = "text"
    max_documents: int | None = None
    max_bytes: int | None = None
    facts: dict[str, Any] | None = None

    @property
    def has_documents(self) -> bool:
        """Whether the text comes in documents: it does unless all of it is a single one."""
        return self._rule.cut is None

    def documents(self, split: Split) -> Iterator[str]:
        """The texts of `pieces`."""
        return (piece.text for piece in self.pieces(split))

    def pieces(self, split: Split) -> Iterator[Piece]:
        """The text of `split`, in the order of the files; a document of more than 2 million characters in parts."""
        rule = self._rule
        if rule.cut is not None:
            yield from self._stream(split, rule.cut)
        elif rule.threshold is None:
            yield from self._pieces(self.val_files if split == "val" else self.files)
        else:
            wanted = False
            for piece in self._pieces(self.files):
                if piece.starts:
                    wanted = (self._share(piece.text) < rule.threshold) == (split == "val")
                if wanted:
                    yield piece

    def _stream(self, split: Split, cut: int) -> Iterator[Piece]:
        start, begun = 0, False
        for text, _ in self._pieces(self.files):
            part = text[max(0, cut - start) :] if split == "val" else text[: max(0, cut - start)]
            if part:
                yield Piece(part, not begun)
                begun = True
            start += len(text)
            if split == "train" and start >= cut:
                return

    def size_bytes(self, split: Split) -> int | None:
        """About how many bytes of text `split` has, from the sizes of the files."""
        if self.val_files:
            return self._size(self.val_files if split == "val" else self.files)
        total = self._size(self.files)
        share = self.val_fraction if split == "val" else 1 - self.val_fraction
        return None if total is None else int(total * share)

    def _size(self, files: Sequence[Path]) -> int | None:
        sizes = [text_bytes(file, self.text_key) for file in files]
        known = [size for size in sizes if size is not None]
        if len(known) < len(sizes) or self.max_documents is not None:
            return self.max_bytes
        return min(sum(known), self.max_bytes or sum(known))

    def fingerprint(self) -> str:
        """sha256 over the content of the files in their order, and over every setting that decides the splits.

        Names and times of files do not count: a copy has the same fingerprint.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        limits = [self.text_key, self.max_documents, self.max_bytes]
        split = None if self.val_files else [repr(self.val_fraction), self.seed]
        content = [[[kind_of(f), noted_sha256(f)] for f in group] for group in (self.files, self.val_files)]
        key = json.dumps([_RECIPE, limits, split, content])
        return hashlib.sha256(key.encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """What is known of the corpus: source, files, how it is split, what was left out."""
        if self.val_files:
            split = "as published"
        elif self.has_documents:
            split = f"by document: {self.val_fraction:g} of them, by hash of content and seed {self.seed}"
        else:
            split = f"one stream: its last {self.val_fraction:g}"
        limits = {"max_documents": self.max_documents, "max_bytes": self.max_bytes}
        return {
            "name": self.name,
            **(self.facts or {}),
            "files": len(self.files) + len(self.val_files),
            "has_documents": self.has_documents,
            "split": split,
            "fingerprint": self.fingerprint(),
            **{name: limit for name, limit in limits.items() if limit is not None},
        }

    # ---------------------------------------------------------------- how it is split

    @cached_property
    def _rule(self) -> _Rule:
        """Decided by reading until it is certain: two documents that fall on different sides are enough.

        A corpus of few documents may by chance have all of them on one side; then the one nearest to the other side
        goes there.
        """
        if self.val_files:
            return _Rule()
        characters = n = 0
        lowest, highest = 1.0, 0.0
        for text, starts in self._pieces(self.files):
            if starts:
                n += 1
                share = self._share(text)
                lowest, highest = min(lowest, share), max(highest, share)
                if lowest < self.val_fraction <= highest:
                    return _Rule(threshold=self.val_fraction)
            characters += len(text)
        if n == 1 and characters > 1:
            # The first int(0.9·n) characters train: nanoGPT's split of TinyShakespeare, to the character.
            return _Rule(cut=min(max(1, int(characters * (1 - self.val_fraction))), characters - 1))
        if lowest < highest:
            return _Rule(threshold=highest if highest < self.val_fraction else math.nextafter(lowest, 1.0))
        raise ValueError(self._why_unsplit(n))

    def _why_unsplit(self, n: int) -> str:
        where = ", ".join(str(file) for file in self.files[:3]) + (", …" if len(self.files) > 3 else "")
        if n == 0:
            return f"there is no text in {where}: only empty files or white space; set data.path to other text"
        if n == 1:
            return f"the text of {where} is a single character: nothing can be held out; add text"
        return f"all {n} documents of {where} are the same text: nothing can be held out; add other text"

    def _share(self, text: str) -> float:
        """Where a document falls in [0, 1): a hash of its first piece and the seed."""
        key = self.seed.to_bytes(16, "little", signed=True)
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest()
        return int.from_bytes(digest, "little") / 2**64

    # ---------------------------------------------------------------- what is read

    def _pieces(self, files: Sequence[Path]) -> Iterator[Piece]:
        """The pieces of `files`, up to `max_documents` and `max_bytes`."""
        documents = n_bytes = 0
        for piece in chain.from_iterable(read_pieces(file, self.text_key) for file in files):
            documents += piece.starts
            if self.max_documents is not None and documents > self.max_documents:
                return
            if self.max_bytes is not None:
                encoded = piece.text.encode("utf-8")
                n_bytes += len(encoded)
                if n_bytes >= self.max_bytes:
                    kept = encoded[: len(encoded) - (n_bytes - self.max_bytes)]
                    yield Piece(kept.decode("utf-8", errors="ignore"), piece.starts)
                    return
            yield piece
