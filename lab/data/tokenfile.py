"""A corpus as token ids on disk: tokenised once, memory-mapped ever after.

Layout under the cache: `tokens/<key>/train.bin`, `val.bin` (ids, uint16 or uint32, little-endian, nothing else) and a
`.json` beside each with its facts. The key is a hash of corpus and tokenizer, so a changed text or vocabulary is
another folder and a stale file cannot be met. Where a corpus has documents, each is followed by one end-of-text id,
however long it is.

Tokenising streams (`lab.data.tokenising`): memory does not grow with the corpus.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lab.data.cache import cache_root, folder_of_process, locked, writing
from lab.data.corpus import SPLITS, Content, Corpus, Split
from lab.data.progress import Progress, say
from lab.data.tokenising import tokenised
from lab.data.tokenizers import Tokenizer

FORMAT = 1
_CHECKED_BYTES = 1 << 20


@dataclass(frozen=True)
class TokenFile:
    """One split of a corpus as ids on disk; `bytes` are those of its text, end-of-text ids not counted."""

    path: Path
    tokens: int
    bytes: int
    documents: int
    dtype: str
    checksum: int

    def array(self) -> np.ndarray:
        """The ids `[tokens]`, memory-mapped: pages come from disk as they are read, and may leave again."""
        if not self.tokens:
            return np.zeros(0, dtype=self.dtype)
        return np.memmap(self.path, dtype=self.dtype, mode="r", shape=(self.tokens,))


def token_folder(corpus: Content, tokenizer: Tokenizer, cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Where the token files of this corpus under this tokenizer live."""
    key = f"{FORMAT}|{corpus.fingerprint()}|{corpus.has_documents}|{tokenizer.fingerprint}"
    return cache_root(cache_dir) / "tokens" / hashlib.sha256(key.encode()).hexdigest()[:32]


def open_token_files(
    corpus: Corpus, tokenizer: Tokenizer, cache_dir: str | os.PathLike[str] | None = None
) -> dict[Split, TokenFile]:
    """The token files of both splits, made first where they are missing, torn or foreign.

    Two processes that want the same files: one makes them, the other waits. Killed in the middle: the next one starts
    over. Where the cache cannot be written they are this process's alone. Raises `ValueError` on a full disk, and for a
    text that cannot be encoded.
    """
    folder = token_folder(corpus, tokenizer, cache_dir)
    ready = {split: found for split in SPLITS if (found := read_token_file(folder, split)) is not None}
    if len(ready) == len(SPLITS):
        return ready
    with locked(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return _made(corpus, tokenizer, folder)
        except OSError as error:
            why = os.strerror(error.errno or 0)
    own = folder_of_process() / folder.name
    own.mkdir(exist_ok=True)
    say(
        f"the cache {folder.parent} cannot be written ({why}): the text is tokenised for this process alone;"
        " data.cache_dir or LAB_CACHE_DIR names another folder"
    )
    return _made(corpus, tokenizer, own)


def _made(corpus: Corpus, tokenizer: Tokenizer, folder: Path) -> dict[Split, TokenFile]:
    return {split: read_token_file(folder, split) or _write(corpus, tokenizer, split, folder) for split in SPLITS}


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


def _write(corpus: Corpus, tokenizer: Tokenizer, split: Split, folder: Path) -> TokenFile:
    """Tokenise one split. The facts are written last: without them the ids count for nothing."""
    path = folder / f"{split}.bin"
    path.with_suffix(".json").unlink(missing_ok=True)
    tokens = n_bytes = documents = 0
    with (
        writing(path) as out,
        Progress(f"tokenising {corpus.name} ({split})", corpus.size_bytes(split)) as progress,
    ):
        ends = corpus.has_documents and tokenizer.eot_id is not None
        for some in tokenised(corpus.pieces(split), tokenizer, tokenizer.eot_id if ends else None):
            out.write(some.ids.data)
            tokens += len(some.ids)
            n_bytes += some.bytes
            documents += some.documents
            progress.update(n_bytes)
    file = TokenFile(path, tokens, n_bytes, documents, tokenizer.dtype.name, _checksum(path))
    facts = {k: v for k, v in asdict(file).items() if k != "path"}
    with writing(path.with_suffix(".json")) as out:
        out.write(json.dumps({"format": FORMAT, **facts}, indent=1).encode())
    return file


def _checksum(path: Path) -> int:
    """CRC-32 of the first and the last MB: finds a cut, overwritten or unflushed file in a millisecond."""
    with open(path, "rb") as file:
        crc = zlib.crc32(file.read(_CHECKED_BYTES))
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _CHECKED_BYTES))
        return zlib.crc32(file.read(_CHECKED_BYTES), crc)
