"""A corpus in files, split in two as it is read.

The model must not have seen held-out text, and as much of it is held out as was asked for, whatever the sizes of its
documents: whole ones, chosen by a hash of their content and the seed, and the end of one where whole ones would miss
the share (`holdout`). So copies of a document are on one side, and adding one moves few others.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from lab.data.cache import cache_root, keep
from lab.data.checksum import noted_sha256
from lab.data.corpus import Piece, Split, utf8_bytes
from lab.data.holdout import HoldOut, hold_out
from lab.data.opening import kind_of
from lab.data.progress import Progress
from lab.data.text_files import DOCUMENT_SEPARATOR, read_pieces, text_bytes

VAL_FRACTION = 0.1
_RECIPE = 2  # part of every fingerprint: raise it when the same files would give other documents
_BY_NUMBER = 1  # the recipe that held out a share of the number of documents, whatever their sizes
_NOTED_BYTES = 16 << 20  # a smaller text is read about as fast as a note of what it holds is found


@dataclass(frozen=True)
class _Contents:
    """What reading a corpus once tells: documents, the separators between them, bytes of text on either side, and what
    is held out (`HoldOut`)."""

    documents: int
    separators: int
    train: int
    val: int
    held_out: tuple[int, int] | None = None

    @property
    def share(self) -> float:
        """Share of the text that is held out."""
        return self.val / max(1, self.train + self.val)


@dataclass(frozen=True)
class FileCorpus:
    """A corpus in files.

    Args:
        name: What it was asked for as.
        files: In the order they are read.
        val_files: The held-out text, where the publisher chose one; else it is split here.
        val_fraction: Share of the text, in bytes, that is held out.
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
        return bool(self.val_files) or self._contents.documents > 1

    def documents(self, split: Split) -> Iterator[str]:
        """The texts of `pieces`."""
        return (piece.text for piece in self.pieces(split))

    def pieces(self, split: Split) -> Iterator[Piece]:
        """The text of `split`, in the order of the files; a document of more than 2 million characters in parts."""
        if self._contents.held_out is None:
            yield from self._pieces(self.val_files if split == "val" else self.files)
            return
        held_out, cut, at, begun = HoldOut(*self._contents.held_out), 0, 0, False
        for text, starts in self._pieces(self.files):
            if starts:
                cut, at, begun = held_out.cut_of(self._hash(text)), 0, False
            size = utf8_bytes(text)
            part = _divide(text, size, cut, at)[split == "val"]
            if part:
                yield Piece(part, not begun)
                begun = True
            at += size

    def size_bytes(self, split: Split) -> int:
        """Bytes of text that `split` has."""
        return self._contents.val if split == "val" else self._contents.train

    def fingerprint(self) -> str:
        """sha256 over the content of the files in their order, and over every setting that decides the splits.

        Names and times of files do not count: a copy has the same fingerprint.
        """
        return self._fingerprint_by(_RECIPE)

    def fingerprint_by_number(self) -> str:
        """What `fingerprint` was while the number of documents was split, and not their text."""
        return self._fingerprint_by(_BY_NUMBER)

    def _fingerprint_by(self, recipe: int) -> str:
        limits = [self.text_key, self.max_documents, self.max_bytes]
        split = None if self.val_files else [repr(self.val_fraction), self.seed]
        key = json.dumps([recipe, limits, split, self._content])
        return hashlib.sha256(key.encode()).hexdigest()

    @cached_property
    def _content(self) -> list[list[list[str]]]:
        done, sizes = 0, [file.stat().st_size for file in (*self.files, *self.val_files) if file.exists()]
        with Progress(f"hashing {self.name}", sum(sizes)) as progress:

            def read(n: int) -> None:
                nonlocal done
                done += n
                progress.update(done)

            return [[[kind_of(f), noted_sha256(f, read)] for f in group] for group in (self.files, self.val_files)]

    def describe(self) -> dict[str, Any]:
        """What is known of the corpus: source, files, how it is split, what was left out."""
        share = f"{self._contents.share:.1%} of the text"
        if self.val_files:
            split = "as published"
        elif self.has_documents:
            split = f"{share} held out, by document: by hash of content and seed {self.seed}"
        else:
            split = f"{share} held out: the end of one document"
        limits = {"max_documents": self.max_documents, "max_bytes": self.max_bytes}
        return {
            "name": self.name,
            **(self.facts or {}),
            "files": len(self.files) + len(self.val_files),
            "has_documents": self.has_documents,
            "split": split,
            "fingerprint": self.fingerprint(),
            **({"separators": self._contents.separators} if self._contents.separators else {}),
            **{name: limit for name, limit in limits.items() if limit is not None},
        }

    # ---------------------------------------------------------------- how it is split

    @cached_property
    def _contents(self) -> _Contents:
        """Found by reading everything once; of a large text it is noted in the cache."""
        note = cache_root() / "contents" / f"{self.fingerprint()[:32]}.json"
        with suppress(OSError, ValueError, TypeError):
            return _Contents(**json.loads(note.read_text("utf-8")))
        found = self._read_contents()
        if found.train + found.val >= _NOTED_BYTES:
            keep(note, json.dumps(asdict(found)))
        return found

    def _read_contents(self) -> _Contents:
        found: Counter[str] = Counter()
        hashes, sizes = self._survey(self.files, found)
        if self.val_files:
            val = int(self._survey(self.val_files, found)[1].sum())
            return _Contents(len(sizes), found[DOCUMENT_SEPARATOR], int(sizes.sum()), val)
        held_out = hold_out(hashes, sizes, self.val_fraction) if len(sizes) else None
        if held_out is None:
            raise ValueError(self._why_unsplit(len(sizes)))
        train = held_out.trains(hashes, sizes)
        return _Contents(len(sizes), found[DOCUMENT_SEPARATOR], train, int(sizes.sum()) - train, held_out)

    def _survey(self, files: Sequence[Path], found: Counter[str]) -> tuple[np.ndarray, np.ndarray]:
        """Hash, uint64, and size in bytes, int64, of every document."""
        hashes, sizes, done = array("Q"), array("q"), 0
        known = [text_bytes(file, self.text_key) for file in files]
        total = None if None in known else sum(size or 0 for size in known)
        with Progress(f"reading {self.name}", total) as progress:
            for text, starts in self._pieces(files, found):
                size = utf8_bytes(text)
                if starts:
                    hashes.append(self._hash(text))
                    # A single character cannot be cut: it counts as one byte, which cannot, either.
                    sizes.append(size if len(text) > 1 else 1)
                else:
                    sizes[-1] += size
                done += size
                progress.update(done)
        return np.array(hashes, dtype=np.uint64), np.array(sizes, dtype=np.int64)

    def _why_unsplit(self, n: int) -> str:
        where = ", ".join(str(file) for file in self.files[:3]) + (", …" if len(self.files) > 3 else "")
        if n == 0:
            return f"there is no text in {where}: only empty files or white space; set data.path to other text"
        if n == 1:
            return f"the text of {where} is a single character: nothing can be held out; add text"
        return f"all {n} documents of {where} are the same character: nothing can be held out; add other text"

    def _hash(self, text: str) -> int:
        """64 bits of a document: of its first piece and the seed."""
        key = self.seed.to_bytes(16, "little", signed=True)
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest()
        return int.from_bytes(digest, "little")

    # ---------------------------------------------------------------- what is read

    def _pieces(self, files: Sequence[Path], found: Counter[str] | None = None) -> Iterator[Piece]:
        """The pieces of `files`, up to `max_documents` and `max_bytes`."""
        documents = n_bytes = 0
        for piece in chain.from_iterable(read_pieces(file, self.text_key, found) for file in files):
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


def _divide(text: str, size: int, cut: int, at: int) -> tuple[str, str]:
    """A piece of `size` bytes that begins at byte `at` of its document, as what lies before byte `cut` of that and what
    lies behind.

    A character that the cut would divide goes behind it, unless it is the document's first.
    """
    if cut <= at:
        return "", text
    if cut - at >= size:
        return text, ""
    before = text.encode("utf-8", "surrogatepass")[: cut - at].decode("utf-8", "ignore")
    before = before or ("" if at else text[0])
    return before, text[len(before) :]
