"""A short storm: real signals, changes, forks and moves at seeded steps."""

from __future__ import annotations

from pathlib import Path

from lab.runs import open_run
from scripts.storm import Sequence, run_storm


def test_what_a_run_promises_holds_in_a_short_storm(tmp_path: Path) -> None:
    found = run_storm(1, tmp_path, seed=5, say=lambda line: None)
    assert [sequence.broken for sequence in found] == [[]]
    assert open_run("alone", tmp_path).status().state == "completed"


def test_what_does_not_hold_is_told(tmp_path: Path) -> None:
    sequence = Sequence(tmp_path, tmp_path / "corpus.txt", done=["SIGKILL@7"])
    sequence.check("tokens", True)
    sequence.check("batch n", False)
    assert sequence.broken == ["after ['SIGKILL@7']: batch n"]
