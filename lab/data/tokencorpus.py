"""A corpus of token ids that another program made: mapped into memory where they lie, never copied.

Nothing is tokenised, so the vocabulary must be named. Every id is looked at once: one that the vocabulary does not have
would be another word, and only the loss would tell.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lab.data.cache import kept
from lab.data.checksum import noted_sha256
from lab.data.corpus import Split
from lab.data.idformats import IdFile, implied_vocabulary, open_ids
from lab.data.progress import Progress
from lab.data.tokenfile import token_folder
from lab.data.tokenizers import FIXED, Tokenizer

_RECIPE = 1  # part of every fingerprint
_CHUNK = 1 << 22  # ids looked at together
_SLACK = 0.2  # of the held-out part: how far its beginning may move to where a document begins
_CHECKED = 1 << 18


def pickled_table(file: Path) -> str:
    """What to do with nanoGPT's table of characters, which is a pickle: opening one may run any program."""
    made = file.with_name("tokenizer.json")
    program = (
        "import pickle; from lab.data.vocabulary import CharTokenizer as C;"
        f" open('{made}', 'w').write(C(pickle.load(open('{file}', 'rb'))['stoi']).to_json())"
    )
    return (
        f"{file} is a pickle, as nanoGPT keeps its table of characters, and is not opened here since it may run code."
        f' If you made it yourself, write it as a tokenizer.json, python -c "{program}", and give'
        f" --data.tokenizer {made}"
    )


class JoinedIds:
    """Arrays of ids one after the other, read as if they were one, `[tokens]`; none is copied but what is asked for."""

    dtype = np.dtype(np.int64)

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self._starts = self._ends - [len(part) for part in parts]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, at: Any) -> np.ndarray:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            cuts = zip(self._parts, self._starts, strict=True)
            found = [part[max(0, start - first) : max(0, stop - first)] for part, first in cuts]
            return np.concatenate([part.astype(np.int64) for part in found])[::step]
        at = np.asarray(at)
        which = np.searchsorted(self._ends, at, side="right")
        ids = np.empty(at.shape, dtype=np.int64)
        for i in np.unique(which):
            here = which == i
            ids[here] = self._parts[i][at[here] - self._starts[i]]
        return ids


@dataclass(frozen=True)
class TokenSpan:
    """One split: what `lab.data.tokenfile.TokenFile` is for a text that is tokenised here."""

    parts: Sequence[np.ndarray]
    tokens: int
    bytes: int
    documents: int
    checksum: int

    def array(self) -> Any:
        """The ids `[tokens]`, memory-mapped."""
        return self.parts[0] if len(self.parts) == 1 else JoinedIds(self.parts)


@dataclass(frozen=True)
class TokenCorpus:
    """Files of token ids.

    Args:
        name: What it was asked for as.
        files: In the order they are read.
        val_files: The held-out ids, where the publisher chose a file; else the end of all of it is held out, from the
            beginning of a document where one is near.
        val_fraction: Share of the ids that is held out.
        dtype: What raw ids are; unset: found out.
        facts: What `describe` adds.

    Raises `ValueError` when read, for files that are no token files or hold ids outside the vocabulary.
    """

    name: str
    files: Sequence[Path]
    val_files: Sequence[Path] = ()
    val_fraction: float = 0.1
    dtype: str | None = None
    facts: dict[str, Any] | None = None
    has_documents = True

    def vocabulary(self, asked: str) -> str:
        """The vocabulary of the ids: the one that was asked for, or the one their format implies. Raises `ValueError`
        where neither says."""
        if asked in FIXED or asked.endswith(".json"):
            return asked
        implied = {implied_vocabulary(file) for file in (*self.files, *self.val_files)}
        if len(implied) == 1 and (found := implied.pop()) is not None:
            return found
        raise ValueError(
            f"data.tokenizer is {asked!r}, which is learned from text: name the vocabulary that the ids of"
            f" {self.files[0].name} were made with, one of {', '.join(FIXED)} or a tokenizer.json"
            + (f"; {pickled_table(table)}" if (table := self.files[0].with_name("meta.pkl")).exists() else "")
        )

    def fingerprint(self) -> str:
        """sha256 over the content of the files in their order, and over what decides the splits."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        content = [[noted_sha256(file) for file in group] for group in (self.files, self.val_files)]
        split = None if self.val_files else repr(self.val_fraction)
        return hashlib.sha256(json.dumps([_RECIPE, "tokens", self.dtype, split, content]).encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """What is known of the corpus: plain JSON values."""
        return {
            "name": self.name,
            **(self.facts or {}),
            "files": len(self.files) + len(self.val_files),
            "has_documents": True,
            "split": "as published" if self.val_files else "the end of the ids held out",
            "fingerprint": self.fingerprint(),
        }

    def spans(self, tokenizer: Tokenizer, cache_dir: str | os.PathLike[str] | None = None) -> dict[Split, TokenSpan]:
        """Both splits. Every id is looked at once; what that tells is kept in the cache."""
        train, val = (
            [open_ids(file, tokenizer.vocab_size, self.dtype) for file in group]
            for group in (self.files, self.val_files)
        )
        if not val:
            train, val = _divide(train, _cut(train, self.val_fraction, tokenizer.eot_id))
        splits: dict[Split, list[IdFile]] = {"train": train, "val": val}
        found = kept(
            token_folder(self, tokenizer, cache_dir) / "spans.json",
            lambda: {split: _survey(files, tokenizer) for split, files in splits.items()},
        )
        return {split: TokenSpan([one.ids for one in files], **found[split]) for split, files in splits.items()}


def _divide(files: Sequence[IdFile], at: int) -> tuple[list[IdFile], list[IdFile]]:
    """Files in a row, cut before id `at`."""
    before, behind, first = [], [], 0
    for one in files:
        cut = min(max(at - first, 0), len(one.ids))
        before += [replace(one, ids=one.ids[:cut])] if cut else []
        behind += [replace(one, ids=one.ids[cut:])] if cut < len(one.ids) else []
        first += len(one.ids)
    return before, behind


def _cut(files: Sequence[IdFile], val_fraction: float, end_of_text: int | None) -> int:
    """Where the held-out end begins: at the beginning of a document, where one is near enough."""
    ids = JoinedIds([one.ids for one in files])
    held_out = max(1, round(len(ids) * val_fraction))
    target, slack = max(1, len(ids) - held_out), int(held_out * _SLACK)
    low, high = max(1, target - slack), min(len(ids) - 1, target + slack)
    first = 0
    starts: list[np.ndarray] = []
    for one in files:
        if first + len(one.ids) > low and first <= high:
            a, b = max(0, low - first), max(0, high - first)
            if one.starts is not None:
                near = one.starts[(one.starts >= a) & (one.starts <= b)]
            else:  # end-of-text ids; a document begins at one, or right behind it
                near = np.flatnonzero(one.ids[max(0, a - 1) : b + 1] == end_of_text) + max(0, a - 1)
                near = near if one.before else near + 1
            starts.append(near + first)
        first += len(one.ids)
    near = np.concatenate(starts) if starts else np.zeros(0, dtype=np.int64)
    near = near[(near >= low) & (near <= high)]
    return int(near[np.argmin(np.abs(near - target))]) if len(near) else target


def _survey(files: Sequence[IdFile], tokenizer: Tokenizer) -> dict[str, int]:
    """Ids, bytes of their text, documents and a checksum. Raises `ValueError` for an id outside the vocabulary."""
    known = np.array([token is not None for token in tokenizer.tokens])
    counts = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    crc = 0
    with Progress("looking at the ids", sum(one.ids.nbytes for one in files)) as progress:
        for one in files:
            for start in range(0, len(one.ids), _CHUNK):
                ids = one.ids[start : start + _CHUNK].astype(np.int64)
                wrong = ids[(ids < 0) | (ids >= len(known))]
                wrong = wrong if len(wrong) else ids[~known[ids]]
                if len(wrong):
                    raise ValueError(
                        f"{one.file} holds the id {wrong[0]}, which is not in the vocabulary '{tokenizer.name}' of"
                        f" {len(known):,} ids: set data.tokenizer to the one that the file was made with"
                    )
                counts += np.bincount(ids, minlength=len(known))
                progress.update(int(counts.sum()) * one.ids.itemsize)
            for end in (one.ids[:_CHECKED], one.ids[-_CHECKED:]):
                crc = zlib.crc32(np.ascontiguousarray(end).tobytes(), crc)
    documents = 0 if tokenizer.eot_id is None else int(counts[tokenizer.eot_id])
    n_bytes = int((counts * tokenizer.byte_lengths).sum())
    return {"tokens": int(counts.sum()), "bytes": n_bytes, "documents": max(1, documents), "checksum": crc}
