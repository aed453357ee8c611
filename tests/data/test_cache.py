"""The cache: its place, its lock, and what a killed process leaves."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from lab.data.cache import cache_root, keep, kept, locked, writing
from lab.errors import WriteError


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CACHE_DIR", "~/made")
    assert cache_root() == Path.home() / "made"
    assert cache_root("here") == Path("here")
    monkeypatch.delenv("LAB_CACHE_DIR")
    assert cache_root() == Path.home() / ".cache" / "pretraining-lab"


def test_one_makes_it_and_the_others_wait(tmp_path: Path) -> None:
    order: list[str] = []
    inside = threading.Event()

    def other() -> None:
        inside.wait()
        with locked(tmp_path):
            order.append("other")

    thread = threading.Thread(target=other)
    thread.start()
    with locked(tmp_path):
        inside.set()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


def test_what_cannot_be_kept_is_made_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    inside = tmp_path / "file" / "inside"
    with locked(inside):
        keep(inside / "made", "content")
    assert kept(inside / "made", lambda: {"x": 1}) == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_user_without_a_home_has_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("LAB_CACHE_DIR")
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cache_root().parent == tmp_path


def test_a_full_disk_names_the_setting_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no room to write .*data\.cache_dir"), writing(tmp_path / "ids.bin"):
        raise WriteError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not (tmp_path / "ids.bin").exists()


def test_kept_is_computed_once_and_again_when_torn(tmp_path: Path) -> None:
    calls: list[int] = []

    def compute() -> dict[str, int]:
        calls.append(1)
        return {"x": len(calls)}

    path = tmp_path / "baselines.json"
    assert [kept(path, compute), kept(path, compute)] == [{"x": 1}, {"x": 1}]
    path.write_text(path.read_text()[:3])
    assert kept(path, compute) == {"x": 2}
