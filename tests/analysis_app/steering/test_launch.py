"""Starting a training as a process of its own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from analysis_app.steering.launch import Launcher
from analysis_app.steering.status import run_status
from lab.runs import Run
from tests.patience import PATIENCE


def test_a_start_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = Launcher(tmp_path)
    monkeypatch.setattr(
        "analysis_app.steering.launch._lab", lambda *words: ["sh", "-c", "echo 'error: no room'; exit 2"]
    )
    launcher.launch("fox", "new", [])
    end = time.monotonic() + PATIENCE
    while (failed := launcher.last("fox")) is None or failed.alive:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert failed.failure == "no room"
    found = run_status(Run(tmp_path / "fox"), launcher.last("fox"))
    assert (found["state"], found["message"], found["control"]["available"]) == ("failed", "no room", False)
    (tmp_path / ".starts" / "fox.json").write_text("{")
    assert launcher.last("fox") is None
    assert launcher.last("../fox") is None
