"""Where made things are kept between runs (token files, vocabularies), and how to write there without harm.

A file appears under its name only when it is whole: written beside it, flushed to the disk, then renamed.
One process makes a thing, the others wait for it: the lock belongs to the kernel, so a killed process
leaves none behind.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

TEMPORARY = ".part"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def cache_root(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder for made things: `cache_dir`, else `LAB_CACHE_DIR`, else `~/.cache/pretraining-lab`."""
    chosen = cache_dir or os.environ.get("LAB_CACHE_DIR") or Path.home() / ".cache" / "pretraining-lab"
    return Path(chosen).expanduser()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` (made if missing); waits for whoever holds it, and sweeps what a killed one
    left.

    Raises `ValueError` when the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(folder / ".lock", "a")  # noqa: SIM115 (closed below; closing gives the lock back)
    except OSError as error:
        raise ValueError(
            f"cannot write to the cache {folder}: {error.strerror};"
            f" set data.cache_dir or LAB_CACHE_DIR to another folder"
        ) from error
    with handle:
        # Some network file systems know no locks: then two may do the same work, each under its own
        # temporary name.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
            for left_behind in folder.glob(f"*{TEMPORARY}"):
                left_behind.unlink(missing_ok=True)
        yield


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A file to write bytes to, that becomes `path` when the block ends well and vanishes when it does not.

    Raises `ValueError` when the disk is full.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}{TEMPORARY}")
    try:
        with open(temporary, "wb", buffering=1 << 20) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise ValueError(
            f"no room to write {path}: {error.strerror}; free some, or set data.cache_dir or LAB_CACHE_DIR to"
            f" a folder on another disk"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
