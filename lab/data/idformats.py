"""Files of token ids that other programs wrote, recognised by their content and mapped into memory as they are.

| format                  | content                                                                  | end of text |
|-------------------------|--------------------------------------------------------------------------|-------------|
| llm.c, modded-nanogpt   | 256 int32 (magic, version, number of ids, zeros), then the ids           | before      |
| Megatron                | ids in `.bin`; beside it `.idx`, which begins with `MMIDIDX`             | of no rule  |
| np.save                 | NumPy's own header, then an array of integers                            | after       |
| nanoGPT, OLMo           | the ids and nothing else, `.bin` or `.npy`                               | after       |

The last says neither how wide an id is nor how many there are: the widest type in which they all are ids of the
vocabulary is taken, since a narrower one read as a wider makes numbers beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lab.data.opening import content_of

DTYPES = ("uint32", "uint16", "uint8")  # of raw ids, tried in this order
_HEADER = 256  # int32
_LLMC = {20240520: (1, "uint16", "gpt2"), 20240801: (7, "uint32", None)}  # magic: version, type, vocabulary
_EXAMPLES = 20240522  # llm.c's questions with several answers
_NUMPY = b"\x93NUMPY"
_INDEX = b"MMIDIDX\0\0"
_INDEX_DTYPES = {1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 8: "uint16"}
_SAMPLE = 1 << 20  # ids at either end that decide the type of raw ones


@dataclass(frozen=True)
class IdFile:
    """One file's ids. `ids` `[tokens]` is mapped, not read; `starts` `[documents]` is where documents start, where an
    index tells; `before` whether the end-of-text id stands before a document; `vocabulary` what the format implies."""

    file: Path
    ids: np.ndarray
    starts: np.ndarray | None = None
    before: bool = False
    vocabulary: str | None = None


def implied_vocabulary(file: Path) -> str | None:
    """The published vocabulary that a file's format implies, where it does."""
    known = _LLMC.get(_magic(_head(file)))
    return known[2] if known else None


def open_ids(file: Path, vocab_size: int, dtype: str | None = None) -> IdFile:
    """The ids of a file. `dtype` says what raw ids are, where it is not to be found out.

    Raises `ValueError` for a torn file, for text, and for what is no token file.
    """
    head = _head(file)
    if not head:
        raise ValueError(f"{file} is empty: leave it out of data.path")
    index = file.with_suffix(".idx")
    if head.startswith(_NUMPY):
        return IdFile(file, _saved_array(file))
    if _magic(head) in _LLMC:
        return _llmc(file, head)
    if _magic(head) == _EXAMPLES:
        raise ValueError(f"{file} holds multiple-choice questions of llm.c, no text: leave it out of data.path")
    if file.suffix == ".bin" and index.exists():
        return _megatron(file, index)
    if (what := content_of(head)) is not None:
        raise ValueError(f"{file} is {what}, no file of token ids: unpack it, or leave it out of data.path")
    if is_readable(head):
        raise ValueError(f"{file} is text: set data.corpus to text, and it is tokenised")
    return IdFile(file, _raw(file, vocab_size, dtype))


def holds_ids(file: Path) -> bool:
    """Whether a file's content marks it as one of token ids; of raw ids nothing does."""
    head = _head(file)
    indexed = file.suffix == ".idx" or (file.suffix == ".bin" and file.with_suffix(".idx").exists())
    return head.startswith((_NUMPY, _INDEX)) or _magic(head) in _LLMC or indexed


def is_readable(head: bytes) -> bool:
    """Whether the beginning of a file is UTF-8 text, a character cut off at its end allowed."""
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
    return b"\0" not in head


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as raw:
            return raw.read(1 << 16)
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}") from error


def _magic(head: bytes) -> int:
    return int.from_bytes(head[:4], "little") if len(head) >= 4 * _HEADER else 0


def _llmc(file: Path, head: bytes) -> IdFile:
    magic, version, n = (int(x) for x in np.frombuffer(head, "<i4", 3))
    known, dtype, vocabulary = _LLMC[magic]
    if version != known:
        raise ValueError(f"{file} is of llm.c's format {magic} in version {version}: version {known} is read")
    offset = 4 * _HEADER
    holds = (file.stat().st_size - offset) / np.dtype(dtype).itemsize
    if holds != n or n < 1:
        raise ValueError(f"{file} is torn: its header says {n:,} ids and it holds {holds:,.0f}: fetch it again")
    ids = np.memmap(file, np.dtype(dtype).newbyteorder("<"), "r", offset, (n,))
    return IdFile(file, ids, before=True, vocabulary=vocabulary)


def _megatron(file: Path, index: Path) -> IdFile:
    head = _head(index)[:34]
    code = head[17] if len(head) == 34 else 0
    if not head.startswith(_INDEX) or code not in _INDEX_DTYPES:
        raise ValueError(f"{index} is no index of Megatron's (MMIDIDX), so {file.name} is not read: make it again")
    n, bounds = (int(x) for x in np.frombuffer(head, "<u8", 2, offset=18))
    dtype = np.dtype(_INDEX_DTYPES[code])
    if index.stat().st_size < 34 + 12 * n + 8 * bounds:
        raise ValueError(f"{index} is torn: it tells of {n:,} sequences and is too short for them: make it again")
    lengths = np.memmap(index, "<i4", "r", 34, (n,))
    pointers = np.memmap(index, "<i8", "r", 34 + 4 * n, (n,))
    documents = np.memmap(index, "<i8", "r", 34 + 12 * n, (bounds,))
    total = int(lengths.sum(dtype=np.int64))
    if file.stat().st_size != total * dtype.itemsize:
        held = file.stat().st_size // dtype.itemsize
        raise ValueError(f"{file} is torn: its index tells of {total:,} ids and it holds {held:,}: fetch it again")
    starts = np.append(np.asarray(pointers) // dtype.itemsize, total)[np.asarray(documents[:-1])]
    return IdFile(file, np.memmap(file, dtype, "r", 0, (total,)), starts=starts)


def _saved_array(file: Path) -> np.ndarray:
    try:
        found: Any = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise ValueError(f"{file} is no whole file of np.save ({error}): save it again") from error
    if found.dtype.kind not in "iu" or found.ndim > 2:
        raise ValueError(f"{file} holds an array of {found.dtype} {list(found.shape)}: token ids are integers in a row")
    return np.asarray(found.reshape(-1)) if not found.flags.c_contiguous else found.reshape(-1)


def _raw(file: Path, vocab_size: int, dtype: str | None) -> np.ndarray:
    size, read = file.stat().st_size, []
    for name in [dtype] if dtype else [name for name in DTYPES if name != "uint8" or vocab_size <= 1 << 8]:
        width = np.dtype(name).itemsize
        if size % width:
            read.append(f"its {size:,} bytes are no whole number of {name}")
            continue
        ids = np.memmap(file, name, "r", 0, (size // width,))
        largest = max(int(ids[:_SAMPLE].max()), int(ids[-_SAMPLE:].max()))
        if dtype or largest < vocab_size:
            return ids
        read.append(f"read as {name} it holds {largest:,}")
    raise ValueError(
        f"{file} is no file of token ids under this vocabulary of {vocab_size:,}: no header of llm.c, Megatron's or"
        f" NumPy's, and {' and '.join(read)}; name another data.tokenizer, or leave the file out of data.path"
    )
