"""A short storm: real signals, changes, forks and moves at seeded steps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lab.runs import open_run
from scripts.storm import Sequence
from tests.patience import PATIENCE

STORM = Path(__file__).parents[2] / "scripts" / "storm.py"


def test_what_a_run_promises_holds_in_a_short_storm(tmp_path: Path) -> None:
    # A process of its own: the storm forks, which a process of many threads (a browser's, a pool's) may not survive.
    command = [sys.executable, str(STORM), "--sequences", "1", "--seed", "5", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
    assert open_run("alone", tmp_path).status().state == "completed"


def test_what_does_not_hold_is_told(tmp_path: Path) -> None:
    sequence = Sequence(tmp_path, tmp_path / "corpus.txt", done=["SIGKILL@7"])
    sequence.check("tokens", True)
    sequence.check("batch n", False)
    assert sequence.broken == ["after ['SIGKILL@7']: batch n"]
