"""The routes of runs and their checkpoints."""

from __future__ import annotations

from pathlib import Path

import httpx

from analysis_app.library import Library
from tests.analysis_app.conftest import MARKUP, STEPS

TEXT = "the cat sat"


def test_runs_and_their_weights(client: httpx.Client, runs: Path) -> None:
    assert client.get("/api/health").json() == {"status": "ok", "runs": 2}
    listed = {run["name"]: run for run in client.get("/api/runs").json()}
    assert listed["tiny"]["state"] == "completed"
    assert listed["tiny"]["step"] == STEPS
    assert listed[MARKUP]["state"] == "broken"
    rows = client.get("/api/runs/tiny/checkpoints").json()
    assert [row["step"] for row in rows] == sorted(row["step"] for row in rows)
    assert {row["sha256"] for row in rows} == {row.sha256 for row in Library(runs).weights("tiny")}
