"""Weights as rows: whole, torn, foreign."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from analysis_app.library import Library


def test_torn_files_are_rows_with_a_reason(runs: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(runs / "tiny", tmp_path / "tiny")
    snapshots = sorted((tmp_path / "tiny" / "snapshots").glob("*.safetensors"))
    snapshots[0].write_bytes(snapshots[0].read_bytes()[:100])
    snapshots[1].with_suffix(".json").unlink()
    rows = {row.file: row for row in Library(tmp_path).weights("tiny")}
    assert "torn" in str(rows[f"snapshots/{snapshots[0].name}"].problem)
    assert "missing" in str(rows[f"snapshots/{snapshots[1].name}"].problem)
    assert sum(row.problem is None for row in rows.values()) == len(rows) - 2


def test_foreign_and_damaged_files_are_rows_with_a_reason(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "tiny", tmp_path / "tiny")
    snapshots = tmp_path / "tiny" / "snapshots"
    (snapshots / "<img src=x onerror=hacked()>.bin").write_bytes(b"x")
    (snapshots / "step-٣.safetensors").write_bytes(b"x")
    victim = next(iter(sorted(snapshots.glob("step-*.safetensors"))))
    victim.unlink()
    garbage = sorted(snapshots.glob("step-*.safetensors"))[1]
    garbage.write_bytes(b"\0" * garbage.stat().st_size)
    library = Library(tmp_path)
    problems = {row.file: row.problem for row in library.weights("tiny")}
    assert "foreign" in str(problems["snapshots/<img src=x onerror=hacked()>.bin"])
    assert "foreign" in str(problems["snapshots/step-٣.safetensors"])
    assert "is missing" in str(problems[f"snapshots/{victim.with_suffix('.json').name}"])
    assert problems[f"snapshots/{garbage.name}"] is None  # of the right size: nobody has read it yet
    step = json.loads(garbage.with_suffix(".json").read_text())["step"]
    with pytest.raises(ValueError, match="no whole safetensors"):
        library.open("tiny", step)
    after = {row.file: row.problem for row in library.weights("tiny")}
    assert "no whole safetensors" in str(after[f"snapshots/{garbage.name}"])
