"""Files by what their names say: which kind of text they hold, and how they are packed.

A name ends in a kind (`.jsonl`) and perhaps in a packing after it (`.jsonl.zst`). Whatever the kind, every packing is
unpacked as it is read, to the end of the file: gzip members and zstd frames that follow each other are one text.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

_KINDS = {
    "plain": (".txt", ".md", ".py"),
    "jsonl": (".jsonl", ".ndjson"),
    "json": (".json",),
    "csv": (".csv", ".tsv"),
    "parquet": (".parquet",),
    "arrow": (".arrow",),
}
_KIND_OF = {ending: kind for kind, endings in _KINDS.items() for ending in endings}
ENDINGS = tuple(_KIND_OF)
TOKEN_ENDINGS = (".bin", ".npy", ".idx")
PACKINGS = (".gz", ".zst", ".bz2", ".xz")
_MARKS = {  # how files begin whose content is no text as it stands
    b"\x1f\x8b\x08": "a gzip file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"BZh9": "a bzip2 file",
    b"\xfd7zXZ\0": "an xz file",
    b"PK\3\4": "a zip archive",
    b"PAR1": "a parquet file",
    b"ARROW1\0": "an Arrow file",
    b"\x93NUMPY": "an array of np.save",
    b"%PDF": "a PDF",
}
_MAPPED = ("parquet", "arrow")  # read at random, so never packed as a whole


def split_name(name: str) -> tuple[str, str, str]:
    """A file's name as (stem, ending, packing), the latter two in small letters and empty where there is none."""
    stem, packing = name, ""
    for one in PACKINGS:
        if name.lower().endswith(one):
            stem, packing = name[: -len(one)], one
    dot = stem.rfind(".")
    return (stem[:dot], stem[dot:].lower(), packing) if dot > 0 else (stem, "", packing)


def kind_of(file: Path) -> str:
    """How a file is read: `plain`, `jsonl`, `json`, `csv`, `parquet` or `arrow`; `plain` for endings not known."""
    _, ending, packing = split_name(file.name)
    kind = _KIND_OF.get(ending, "plain")
    return "plain" if packing and kind in _MAPPED else kind


def is_text(name: str) -> bool:
    """Whether a folder's file of that name is read."""
    _, ending, packing = split_name(name)
    return ending in _KIND_OF and not (packing and _KIND_OF[ending] in _MAPPED)


def is_ids(name: str) -> bool:
    """Whether a folder's file of that name is read as token ids."""
    return split_name(name)[1:] in ((".bin", ""), (".npy", ""))


def is_packed(file: Path) -> bool:
    """Whether the size of `file` says little about how much text it holds."""
    return bool(split_name(file.name)[2])


def content_of(head: bytes) -> str | None:
    """What a file is, by how it begins; none where that is no mark of a known kind."""
    return next((what for mark, what in _MARKS.items() if head.startswith(mark)), None)


@contextmanager
def unpacked(file: Path) -> Iterator[BinaryIO]:
    """The bytes of `file` as a stream, unpacked. Raises `ValueError` for a torn or damaged packing, and without pyarrow
    for zstd."""
    packing = split_name(file.name)[2]
    try:
        with _open(file, packing) as stream:
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise _damaged(file, packing, error) from error
    except OSError as error:
        if error.errno is None and packing:  # no fault of the disk: bz2's and pyarrow's word for damage
            raise _damaged(file, packing, error) from error
        raise


def _open(file: Path, packing: str) -> BinaryIO:
    if packing == ".zst":
        require_pyarrow(file)
        import pyarrow

        # It goes on after the first frame and says when the last is torn; `zstandard` ends there in silence.
        packed = pyarrow.CompressedInputStream(pyarrow.OSFile(str(file)), "zstd")
        return io.BufferedReader(packed, 1 << 20)
    readers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    return cast(BinaryIO, readers.get(packing, open)(file, "rb"))


def _damaged(file: Path, packing: str, error: Exception) -> ValueError:
    names = {".gz": "gzip", ".zst": "zstd"}
    if "too much memory" in str(error):
        return ValueError(f"{file} needs more than 128 MB to unpack: pack it again without --long")
    return ValueError(
        f"{file} is no whole {names.get(packing, packing[1:])} file ({error}): fetch or compress it again"
    )


def require_pyarrow(what: object) -> None:
    """Raise `ValueError`, naming the extra to install, where pyarrow is not there: parquet, Arrow and zstd need it."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ValueError(f"reading {what} needs pyarrow: pip install 'pretraining-lab[parquet]'") from error
