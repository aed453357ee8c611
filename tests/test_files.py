"""Whole files or none: kill -9 while writing, full disks, leftovers."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.errors import WriteError
from lab.files import (
    link_whole,
    read_json,
    read_yaml,
    sweep_temporaries,
    to_json,
    write_json,
    write_whole,
    writing_whole,
)
from tests.patience import PATIENCE


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".tmp-")]


def test_writes_text_and_bytes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_whole(path, "früher")
    assert path.read_text(encoding="utf-8") == "früher"
    write_whole(path, b"later", durable=False)
    assert path.read_bytes() == b"later"
    assert leftovers(tmp_path) == []


def test_the_old_file_is_read_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_whole(path, "old")
    with writing_whole(path) as file:
        file.write(b"half")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "half"


def test_an_exception_while_writing_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_whole(path, "old")

    def interrupted() -> None:
        with writing_whole(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_a_missing_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"could not write .*gone/a"):
        write_whole(tmp_path / "gone" / "a", "x")


@pytest.mark.parametrize("attempt", range(4))
def test_kill_while_writing(tmp_path: Path, start_process: Any, attempt: int) -> None:
    """Files are one repeated byte, 4 MB: any mixture or shortage would show."""
    code = """
        import sys; from pathlib import Path; from lab.files import write_whole
        path = Path(sys.argv[1]); write_whole(path, b"0" * 4_000_000); print("ready", flush=True)
        while True:
            for digit in b"123456789":
                write_whole(path, bytes([digit]) * 4_000_000)
    """
    path = tmp_path / "big"
    process = start_process(code, path)
    time.sleep(random.Random(attempt).uniform(0.0, 0.15))
    process.kill()
    process.wait()
    content = path.read_bytes()
    assert len(content) == 4_000_000
    assert len(set(content)) == 1
    sweep_temporaries(tmp_path)
    assert os.listdir(tmp_path) == ["big"]


FULL_DISK = """
    import resource, sys
    from pathlib import Path
    from lab.errors import WriteError
    from lab.files import write_whole
    from lab.runs.lines import LineAppender
    folder = Path(sys.argv[1])
    write_whole(folder / "whole", "old")
    lines = LineAppender(folder / "lines")
    lines.append(b"first")
    {fill}
    try:
        write_whole(folder / "whole", b"n" * 3_000_000)
    except WriteError as error:
        print(error)
    try:
        for _ in range(200):
            lines.append(b"x" * 20_000)
    except WriteError as error:
        print(error)
    {free}
    lines.append(b"last")
"""
BY_LIMIT = FULL_DISK.format(
    fill="resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_001, resource.RLIM_INFINITY))",
    free="resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)",
)
BY_DISK = FULL_DISK.format(
    fill="(folder / 'ballast').write_bytes(b'b' * 500_000)", free="(folder / 'ballast').unlink()"
)


def check_full_disk(folder: Path, code: str, cause: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(folder)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    whole, lines = done.stdout.splitlines()
    assert cause in whole
    assert "the earlier file is untouched" in whole
    assert cause in lines
    assert (folder / "whole").read_text() == "old"
    assert leftovers(folder) == []
    found = (folder / "lines").read_bytes().split(b"\n")
    # Whole lines, at most one torn, and the line written after space was made stands alone.
    assert found[0] == b"first"
    assert found[-2:] == [b"last", b""]
    assert len([line for line in found[1:-2] if len(line) != 20_000]) <= 1


def test_the_file_size_limit(tmp_path: Path) -> None:
    check_full_disk(tmp_path, BY_LIMIT, "larger than this system allows")


def test_a_full_disk(tmp_path: Path) -> None:
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("mounting a small tmpfs needs root on Linux; the limit on file sizes is tested instead")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this container may not mount a tmpfs; the limit on file sizes is tested instead")
    try:
        check_full_disk(tmp_path, BY_DISK, "the disk is full: free some space")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_link_shares_the_file_and_replaces(tmp_path: Path) -> None:
    first, second, last = tmp_path / "1", tmp_path / "2", tmp_path / "last"
    write_whole(first, "one")
    write_whole(second, "two")
    link_whole(first, last)
    assert last.samefile(first)
    link_whole(second, last)
    assert last.samefile(second)
    link_whole(second, last)  # already the same file: POSIX rename would leave the temporary name behind
    assert leftovers(tmp_path) == []
    write_whole(second, "new")
    assert last.read_text() == "two"


def test_link_copies_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    write_whole(tmp_path / "1", "one")
    link_whole(tmp_path / "1", tmp_path / "last")
    assert (tmp_path / "last").read_text() == "one"
    assert leftovers(tmp_path) == []


def test_sweeping_spares_the_young_and_the_others(tmp_path: Path) -> None:
    for name in (".tmp-old", ".tmp-young", "kept"):
        (tmp_path / name).touch()
    os.utime(tmp_path / ".tmp-old", (0, 0))
    assert sweep_temporaries(tmp_path, older_than=60) == 1
    assert sorted(os.listdir(tmp_path)) == [".tmp-young", "kept"]


def test_what_json_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    values = {
        "nan": float("nan"),
        "tensor": torch.tensor([1.5]),
        "scalar": np.float32(0.5),
        "path": Path("a"),
        "set": {2, 1},
    }
    write_json(path, values)
    expected = {"nan": None, "tensor": [1.5], "scalar": 0.5, "path": "a", "set": [1, 2]}
    assert json.loads(path.read_text()) == expected
    assert read_json(path) == expected


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_damaged_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"data\.json is damaged"):
        read_json(path)


@pytest.mark.parametrize("content", [b"", b"a: [", b"- 1", b"\xff\xfe\x00", b"!!python/object/apply:os.getcwd []"])
def test_damaged_or_hostile_yaml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.yaml is damaged"):
        read_yaml(path)


def test_a_name_that_is_no_utf8_is_told_by_its_bytes() -> None:
    name = b"caf\xe9.txt".decode("utf-8", "surrogateescape")
    written = to_json({"names": [name], name: 1}, indent=False)
    assert json.loads(written) == {"names": ["caf\\xe9.txt"], "caf\\xe9.txt": 1}
