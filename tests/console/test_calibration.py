"""`runs calibration`: fast, and one clear line whatever lies in the run directories."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab.commands.runs import main
from lab.runs import create_run
from lab.runs.predictions import Prediction, score, seal


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i in range(3):
        run = create_run(tmp_path, f"run-{i}")
        seal(run, [Prediction("person", "final_val_loss", 2.0, 1.9, 2.1), Prediction("lab", "minutes", 4.0, 3.0, 5.0)])
        score(run, {"final_val_loss": 2.0 + 0.08 * i, "minutes": 4.2})
    return tmp_path


def test_it_says_how_often_intervals_held(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibration", "--root", str(root)]) == 0
    out = capsys.readouterr().out
    assert "Your intervals contained the truth 2 of 3 times" in out
    assert "The lab's intervals contained the truth 3 of 3 times" in out
    assert "3.8%" in out


def test_for_programs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "run-1" / "predictions.json").write_text("torn")
    assert main(["calibration", "--root", str(root), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["runs"] == 2
    assert len(found["problems"]) == 1
    assert {line["quantity"] for line in found["calibration"]} == {"final_val_loss", "minutes", "all"}


def test_nothing_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibration", "--root", str(tmp_path)]) == 0
    assert "--predict.final_loss" in capsys.readouterr().out


def test_it_loads_no_torch() -> None:
    code = "import sys, lab.commands.runs, lab.runs.predictions; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
