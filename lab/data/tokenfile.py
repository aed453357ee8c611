"""A corpus as token ids on disk: tokenised once, memory-mapped ever after.

Layout under the cache: `tokens/<key>/train.bin`, `val.bin` (ids, uint16 or uint32, little-endian, nothing
else) and a `.json` beside each with its facts. The key is a hash of corpus and tokenizer, so a changed text
or vocabulary is another folder and a stale file cannot be met. Where a corpus has documents, each is
followed by the end-of-text id.

Tokenising streams: memory is bounded by `BATCH_CHARACTERS`, whatever the size of the corpus or of one
document.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from lab.data.cache import atomic_write, cache_root, locked
from lab.data.tokenizers import TextCorpus, Tokenizer
from lab.data.vocabulary import valid_unicode

if TYPE_CHECKING:
    from rich.progress import Progress

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")
FORMAT = 1
# 1 MB of text at a time: enough to keep some threads busy, and a few dozen MB with its ids in int64.
BATCH_CHARACTERS = 1 << 20
PIECE_CHARACTERS = 1 << 17
# A letter, then a space: no published pattern joins the two, so a text may be cut there without changing an
# id.
_SAFE_CUT = re.compile(r"[^\W\d_](?= [^\W\d_])")
_CHECKED_BYTES = 1 << 20


@dataclass(frozen=True)
class TokenFile:
    """One split of a corpus as ids on disk. `bytes` are those of its text in UTF-8, end-of-text ids not
    counted.
    """

    path: Path
    tokens: int
    bytes: int
    documents: int
    dtype: str
    checksum: int

    def array(self) -> np.ndarray:
        """The ids, memory-mapped and read-only, `[tokens]`: pages come from disk as they are read, and may
        leave again.
        """
        if not self.tokens:
            return np.zeros(0, dtype=self.dtype)
        return np.memmap(self.path, dtype=self.dtype, mode="r", shape=(self.tokens,))


def token_folder(
    corpus: TextCorpus, tokenizer: Tokenizer, cache_dir: str | os.PathLike[str] | None = None
) -> Path:
    """Where the token files of this corpus under this tokenizer live."""
    key = f"{FORMAT}|{corpus.fingerprint()}|{corpus.has_documents}|{tokenizer.fingerprint}"
    return cache_root(cache_dir) / "tokens" / hashlib.sha256(key.encode()).hexdigest()[:32]


def open_token_files(
    corpus: TextCorpus, tokenizer: Tokenizer, cache_dir: str | os.PathLike[str] | None = None
) -> dict[Split, TokenFile]:
    """The token files of both splits, made first where they are missing, torn or foreign.

    Two processes that want the same files: one makes them, the other waits. Killed in the middle: the next
    one starts over. Raises `ValueError` when the cache cannot be written or a text cannot be encoded.
    """
    folder = token_folder(corpus, tokenizer, cache_dir)
    ready = {split: found for split in SPLITS if (found := read_token_file(folder, split)) is not None}
    if len(ready) < len(SPLITS):
        with locked(folder):
            for split in SPLITS:
                ready[split] = read_token_file(folder, split) or _write(corpus, tokenizer, split, folder)
    return ready


def read_token_file(folder: Path, split: Split) -> TokenFile | None:
    """The token file of `split` in `folder`, or none where there is no whole one."""
    path = folder / f"{split}.bin"
    try:
        facts = json.loads((folder / f"{split}.json").read_text("utf-8"))
        if facts.pop("format", None) != FORMAT:
            return None
        file = TokenFile(path=path, **facts)
        whole = path.stat().st_size == file.tokens * np.dtype(file.dtype).itemsize
        return file if whole and _checksum(path) == file.checksum else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _write(corpus: TextCorpus, tokenizer: Tokenizer, split: Split, folder: Path) -> TokenFile:
    """Tokenise one split. The facts are written last: without them the ids count for nothing."""
    path = folder / f"{split}.bin"
    path.with_suffix(".json").unlink(missing_ok=True)
    tokens = n_bytes = documents = 0
    with (
        atomic_write(path) as out,
        _Progress(f"tokenising {corpus.name} ({split})", corpus.size_bytes(split)) as progress,
    ):
        end_of_text = tokenizer.eot_id if corpus.has_documents else None
        for texts, ended in _batches(corpus.documents(split)):
            for text, ids, end in zip(texts, tokenizer.encode_batch(texts), ended, strict=True):
                if end and end_of_text is not None:
                    ids = np.append(ids, end_of_text)
                out.write(ids.astype(tokenizer.dtype).tobytes())
                tokens += len(ids)
                n_bytes += len(text.encode("utf-8"))
                documents += end
            progress.update(n_bytes)
    file = TokenFile(path, tokens, n_bytes, documents, tokenizer.dtype.name, _checksum(path))
    facts = {k: v for k, v in asdict(file).items() if k != "path"}
    with atomic_write(path.with_suffix(".json")) as out:
        out.write(json.dumps({"format": FORMAT, **facts}, indent=1).encode())
    return file


def _batches(documents: Iterator[str]) -> Iterator[tuple[list[str], list[bool]]]:
    """Pieces of text, about `BATCH_CHARACTERS` together, each with whether it ends its document."""
    texts: list[str] = []
    ended: list[bool] = []
    held = 0
    for document in documents:
        for piece, last in pieces(valid_unicode(document)):
            texts.append(piece)
            ended.append(last)
            held += len(piece)
            if held >= BATCH_CHARACTERS:
                yield texts, ended
                texts, ended, held = [], [], 0
    if texts:
        yield texts, ended


def pieces(document: str, size: int = PIECE_CHARACTERS) -> Iterator[tuple[str, bool]]:
    """Cut a long text where no token crosses, into pieces of at most `size` characters: (piece, is it the
    last?).
    """
    start = 0
    while len(document) - start > size:
        cut = start + size
        # The last safe place in the second half; a text without spaces is cut anyway, at the cost of one
        # odd token.
        for match in _SAFE_CUT.finditer(document, start + size // 2, start + size):
            cut = match.end()
        yield document[start:cut], False
        start = cut
    yield document[start:], True


def _checksum(path: Path) -> int:
    """CRC-32 of the first and the last MB: finds a file cut short, overwritten or never flushed, in a
    millisecond.
    """
    with open(path, "rb") as file:
        crc = zlib.crc32(file.read(_CHECKED_BYTES))
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _CHECKED_BYTES))
        return zlib.crc32(file.read(_CHECKED_BYTES), crc)


class _Progress:
    """A progress bar on a terminal, for work that lasts: the first second passes in silence."""

    def __init__(self, what: str, total: int | None) -> None:
        self._what, self._total = what, total
        self._since = time.monotonic()
        self._bar: Progress | None = None
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> _Progress:
        return self

    def update(self, done: int) -> None:
        """`done` bytes of the total are behind us."""
        if self._shown and self._bar is None and time.monotonic() - self._since > 1:
            self._start()
        if self._bar is not None:
            self._bar.update(self._task, completed=done)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._what, total=self._total)
        self._bar.start()

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
