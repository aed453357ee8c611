"""The status of a run, as the page is told it."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis_app.steering.status import run_status
from lab.runs import Run, StatusWriter, create_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path, "followed")


def test_a_clock_that_jumps_makes_no_run_dead(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with StatusWriter(run) as status:
        status.update(state="running")
        import time

        now = time.time()
        for jump in (3600, -3600):
            monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
            found = run_status(run)
            assert (found["state"], found["control"]["available"]) == ("running", True)
            assert found["heartbeat_age"] >= 0
        monkeypatch.undo()
