"""`diagnose`: findings in words and as JSON, on any run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.commands.diagnose import main
from tests.diagnosis.runs import healthy
from tests.diagnosis.test_monitor import FAULTY, make_run
from tests.tiny import lab


@pytest.mark.promise("diagnose")
def test_the_command_says_it_in_words_and_in_json(tmp_path: Path) -> None:
    make_run(tmp_path, FAULTY, run__json=json.dumps({"format": 1, "state": "completed", "total_steps": 400}))
    shown = lab("diagnose", "run", "--root", str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    for words in (
        "alarm",
        "sees_future",
        "against",
        "why",
        "try",
        "lab/diagnosis/leaks.py",
        "largest change of a logit",
    ):
        assert words in shown.stdout
    parsed = lab("diagnose", "run", "--root", str(tmp_path), "--json")
    (finding,) = json.loads(parsed.stdout)["findings"]
    assert {
        "rule",
        "family",
        "level",
        "what",
        "step",
        "since",
        "metric",
        "value",
        "threshold",
        "why",
        "try",
        "source",
    } <= finding.keys()
    assert "Traceback" not in parsed.stderr


def test_the_command_on_a_healthy_run_on_none_and_its_thresholds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path, healthy())
    assert main(["run", "--root", str(tmp_path)]) == 0
    assert "no findings" in capsys.readouterr().out
    assert main(["nobody", "--root", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["--thresholds"]) == 0
    assert "McCandlish" in capsys.readouterr().out
