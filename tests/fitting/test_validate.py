"""The loss of a checkpoint, measured anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.__main__ import main
from lab.runs import open_run
from tests.fitting.test_lifecycle import finished, fit  # noqa: F401


def test_validate_measures_what_the_run_measured(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "tiny", "--run.root", str(finished.parent)]) == 0
    loss = open_run(finished).metrics().latest("val/loss")
    said = capsys.readouterr().out
    assert f"{loss:.3f}" in said
    assert "on 16 random windows, 256 tokens" in said
    assert "may have learned from it" not in said
    assert main(["validate", "tiny@5", "--run.root", str(finished.parent)]) == 2
    assert "4, 8, 12" in capsys.readouterr().err


def test_other_text_than_the_runs_own_is_told(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "tiny", "--run.root", str(finished.parent), "--data.val_fraction=0.3"]) == 0
    assert "it may have learned from it" in " ".join(capsys.readouterr().out.split())


def test_windows_that_overlap_are_measured_when_asked_for(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "tiny", "--run.root", str(finished.parent), "--stride", "4"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "On the first 256 of the held-out tokens" in said
    assert "in windows that begin every 4" in said
    assert main(["validate", "tiny", "--run.root", str(finished.parent), "--stride", "17"]) == 2
    assert "--stride is 17: give a number of tokens from 1 to the context, 16" in capsys.readouterr().err
