"""sha256 of files: right, remembered for large ones, and never remembered wrongly."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from lab.data import checksum
from lab.data.checksum import noted_sha256


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Which files were read; every file counts as large, and as settled."""
    seen: list[Path] = []
    real = checksum.file_sha256

    def counted(file: Path, *rest: Any) -> str:
        seen.append(file)
        return real(file, *rest)

    monkeypatch.setattr(checksum, "file_sha256", counted)
    monkeypatch.setattr(checksum, "_NOTED_BYTES", 0)
    monkeypatch.setattr(checksum, "_SETTLED_SECONDS", -1.0)
    monkeypatch.setenv("LAB_CACHE_DIR", str(tmp_path / "cache"))
    return seen


def test_a_large_file_is_read_once(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"content")
    expected = hashlib.sha256(b"content").hexdigest()
    assert [noted_sha256(file) for _ in range(3)] == [expected] * 3
    assert len(reads) == 1


def test_changed_content_is_noticed_even_where_size_and_time_are_the_same(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"content")
    noted_sha256(file)
    before = file.stat()
    file.write_bytes(b"CONTENT")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert noted_sha256(file) == hashlib.sha256(b"CONTENT").hexdigest()


def test_another_time_alone_changes_nothing(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"content")
    first = noted_sha256(file)
    os.utime(file, (1, 1))
    assert noted_sha256(file) == first
    assert len(reads) == 2


def test_a_file_still_warm_is_not_noted(tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "_SETTLED_SECONDS", 60.0)
    file = tmp_path / "a.bin"
    file.write_bytes(b"content")
    noted_sha256(file)
    noted_sha256(file)
    assert len(reads) == 2


def test_torn_notes_and_no_cache_do_no_harm(tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"content")
    expected = noted_sha256(file)
    for note in (tmp_path / "cache" / "hashes").iterdir():
        note.write_text('{"stamp": [1, 2')
    assert noted_sha256(file) == expected
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAB_CACHE_DIR", str(tmp_path / "file"))
    assert noted_sha256(file) == expected


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read .*missing"):
        noted_sha256(tmp_path / "missing")
