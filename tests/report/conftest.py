"""A whole run with its report, made once; copies of it to damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab.files import write_json
from lab.report.run_record import RunRecord, read_record
from lab.runs import Run
from tests.report.runs import make_run, text_of

PREDICTIONS = {
    "format": 1, "sealed": 1.7e9, "mental_model": {"before": "It will learn letters first."},
    "predictions": [
        {"by": "lab", "quantity": "final_val_loss", "value": 2.0, "low": 1.9, "high": 2.1, "coverage": 0.8,
         "method": "a law", "outcome": None, "inside": None},
        {"by": "person", "quantity": "minutes", "value": 60, "low": 50, "high": 70, "coverage": 0.8,
         "method": "", "outcome": 0.13, "inside": False},
    ],
}  # fmt: skip


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A completed run with every file; not to be changed."""
    run = make_run(tmp_path_factory.mktemp("whole"))
    write_json(run.predictions_path, PREDICTIONS)
    return run


@pytest.fixture(scope="session")
def record(whole: Run) -> RunRecord:
    """What its files say."""
    return read_record(whole)


@pytest.fixture(scope="session")
def report(whole: Run) -> str:
    """Its report as Markdown, without pictures."""
    return text_of(whole)


@pytest.fixture
def run(whole: Run, tmp_path: Path) -> Run:
    """A copy, to change."""
    shutil.copytree(whole.path, tmp_path / "run")
    return Run(tmp_path / "run")
