"""What gives way on a full disk, and what does not."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lab.errors import WriteError
from lab.runs import Run
from lab.runs.disk_space import delete_newest_to_look_at, free_bytes, in_room


def full() -> WriteError:
    return WriteError(errno.ENOSPC, "could not write it: the disk is full")


def test_the_newest_that_is_only_to_look_at_goes_first(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for folder in (run.snapshots_dir, run.reference_texts_dir, run.checkpoints_dir):
        folder.mkdir()
    for step in (0, 4, 8):
        (run.reference_texts_dir / f"step-{step:08d}.npz").write_bytes(b"x")
    kept = run.checkpoints_dir / "step-00000008.ckpt"
    kept.write_bytes(b"x")
    gone = [delete_newest_to_look_at(run) for _ in range(4)]
    assert [path and path.name for path in gone] == [f"step-{step:08d}.npz" for step in (8, 4, 0)] + [None]
    assert kept.exists()


def test_work_is_done_again_as_long_as_there_is_something_to_delete() -> None:
    rooms, tries = [True, True], []

    def work() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise full()
        return 7

    assert in_room(work, lambda: rooms.pop()) == 7
    assert len(tries) == 3
    tries.clear()
    with pytest.raises(WriteError, match="disk is full"):
        in_room(work, lambda: False)


def test_another_fault_deletes_nothing() -> None:
    def work() -> None:
        raise WriteError(errno.EACCES, "permission denied")

    with pytest.raises(WriteError, match="permission"):
        in_room(work, lambda: pytest.fail("asked for room"))


def test_room_is_looked_for_where_the_folder_will_lie(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "there") > 0
