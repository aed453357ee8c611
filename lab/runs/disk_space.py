"""Disk space: which files of a run are deleted where a full disk holds up what it needs.

A run needs its curve, its events and a checkpoint to resume from. Snapshots and the bundles of reference texts are to
look at; of these the newest go first, as the early ones lie denser where most happens.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lab.errors import WriteError
from lab.runs.checkpoints import delete_file
from lab.runs.paths import RunPaths
from lab.runs.reference_texts import list_bundles
from lab.runs.snapshots import list_snapshots

FULL = (errno.ENOSPC, errno.EDQUOT)
T = TypeVar("T")


def free_bytes(folder: Path) -> int:
    """Free for this user where `folder` lies or will lie. A quota is not seen."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(there).free


def delete_newest_to_look_at(run: RunPaths) -> Path | None:
    """Delete the newest snapshot or bundle; what it was, None where there is none left."""
    found = [(info.step, info.path) for info in list_snapshots(run)]
    found += [(info.step, info.path) for info in list_bundles(run)]
    if not found:
        return None
    _, path = max(found)
    delete_file(path)
    return path


def in_room(work: Callable[[], T], make_room: Callable[[], bool]) -> T:
    """Do `work`; where the disk is full, again as often as `make_room` made some. Raises its `WriteError` otherwise."""
    while True:
        try:
            return work()
        except WriteError as error:
            if error.errno not in FULL or not make_room():
                raise
