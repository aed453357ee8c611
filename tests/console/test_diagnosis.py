"""A diagnosis in the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.console.diagnosis import print_diagnosis, print_thresholds
from lab.diagnosis import RULES, THRESHOLDS, diagnose
from lab.runs import open_run
from tests.diagnosis.runs import healthy
from tests.diagnosis.test_monitor import FAULTY, make_run


def said(folder: Path, curves: dict | None, capsys: pytest.CaptureFixture[str]) -> str:
    run = open_run(make_run(folder, curves))
    print_diagnosis(run, diagnose(run))
    return capsys.readouterr().out


def test_a_finding_with_its_numbers_and_remedies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(tmp_path, FAULTY, capsys)
    for words in ("alarm", "sees_future", "since", "measured", "against", "which is", "why", "try", "rule"):
        assert words in shown


def test_a_healthy_run_and_one_without_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"none of the {len(RULES)} rules applies" in said(tmp_path / "healthy", healthy(), capsys)
    assert "no metrics yet" in said(tmp_path / "empty", {}, capsys)


def test_every_threshold_is_listed_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    print_thresholds()
    shown = capsys.readouterr().out
    assert not [name for name in THRESHOLDS if name not in shown]
