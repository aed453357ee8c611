"""The sha256 of files, without reading a large one twice."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lab.data.cache import cache_root, keep
from lab.hashing import file_sha256

# Under this a file is hashed about as fast as a note of its hash is found and trusted.
_NOTED_BYTES = 64 << 20
_SETTLED_SECONDS = 2.0


def noted_sha256(file: Path, read: Callable[[int], object] = int) -> str:
    """sha256 of a file's bytes, in hex; `read` is told of every part that is read, how many bytes it has.

    Large files are read once: the hash is noted in the cache, and holds while size, inode and both times are
    the same. The kernel moves the change time at every write and no program can set it back, so a note is as
    good as reading, except for a file written to within the clock's last tick; such a one is not noted.
    Raises `ValueError` for a file that cannot be read.
    """
    try:
        before = file.stat()
        return file_sha256(file, read) if before.st_size < _NOTED_BYTES else _noted_hash(file.resolve(), before, read)
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}") from error


def _noted_hash(file: Path, before: os.stat_result, read: Callable[[int], object]) -> str:
    note = cache_root() / "hashes" / f"{hashlib.sha256(str(file).encode()).hexdigest()[:32]}.json"
    stamp = [before.st_dev, before.st_ino, before.st_size, before.st_mtime_ns, before.st_ctime_ns]
    with suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads(note.read_text("utf-8"))
        if noted["stamp"] == stamp:
            return str(noted["sha256"])
    digest = file_sha256(file, read)
    if time.time() - max(before.st_ctime, before.st_mtime) > _SETTLED_SECONDS:
        keep(note, json.dumps({"stamp": stamp, "sha256": digest}))
    return digest
