"""Where token files, vocabularies and baselines are kept between runs.

One process makes a thing, the others wait for it: the lock belongs to the kernel, so a killed process leaves none
behind.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lab.errors import WriteError
from lab.files import NO_LOCKS, sweep_temporaries, writing_whole

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def cache_root(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder for made things: `cache_dir`, else `LAB_CACHE_DIR`, else `~/.cache/pretraining-lab`."""
    chosen = cache_dir or os.environ.get("LAB_CACHE_DIR") or Path.home() / ".cache" / "pretraining-lab"
    return Path(chosen).expanduser()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` (made if missing): waits for its holder, and sweeps the files a killed one left.

    Raises `ValueError` when the folder cannot be written.
    """
    from filelock import FileLock  # 40 ms that most commands do not need

    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        # Without file locks two processes may do the same work, each under its own temporary name.
        if error.errno not in NO_LOCKS:
            raise ValueError(
                f"cannot write to the cache {folder}: {error.strerror};"
                f" set data.cache_dir or LAB_CACHE_DIR to another folder"
            ) from error
    else:
        sweep_temporaries(folder)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """`lab.files.writing_whole` for what is kept here. Raises `ValueError` when the disk is full."""
    try:
        with writing_whole(path) as file:
            yield file
    except WriteError as error:
        if error.errno not in _FULL:
            raise
        raise ValueError(
            f"no room to write {path}: {os.strerror(error.errno)}; free some, or set data.cache_dir or LAB_CACHE_DIR to"
            f" a folder on another disk"
        ) from error


def kept(path: Path, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `path` holds; computed and written there first, where it is missing or torn."""
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        found = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        file.write(json.dumps(found, indent=1).encode())
    return found
