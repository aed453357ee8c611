"""Where token files, vocabularies and baselines are kept between runs.

One process makes a thing, the others wait for it: the lock belongs to the kernel, so a killed process leaves none
behind.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lab.environment import substitute_home
from lab.errors import WriteError
from lab.files import as_path, sweep_temporaries, write_whole, writing_whole

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def cache_root(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder for made things: `cache_dir`, else `LAB_CACHE_DIR`, else `~/.cache/pretraining-lab`; for a user
    without a home, a temporary one."""
    if chosen := cache_dir or os.environ.get("LAB_CACHE_DIR"):
        return as_path(chosen)
    try:
        return Path.home() / ".cache" / "pretraining-lab"
    except RuntimeError:
        return substitute_home()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` (made if missing): waits for its holder, and sweeps the files a killed one left.

    Where there can be no lock (a cache of another user, a file system without any) two processes may do the same work,
    each under its own temporary name.
    """
    from filelock import FileLock  # 40 ms that most commands do not need

    lock = FileLock(folder / ".lock")
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        sweep_temporaries(folder)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """`lab.files.writing_whole` for what must be kept here. Raises `ValueError` when the disk is full."""
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


def keep(path: Path, content: bytes | str) -> None:
    """Write a file for the next time, if that can be; on a full disk or in another user's cache it is made again."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)


def kept(path: Path, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `path` holds; computed, and kept there, where it is missing or torn."""
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        found = compute()
    keep(path, json.dumps(found, indent=1))
    return found


@functools.cache
def folder_of_process() -> Path:
    """A folder that is removed when this process ends."""
    made = tempfile.TemporaryDirectory(prefix="pretraining-lab-")
    atexit.register(made.cleanup)
    return Path(made.name)
