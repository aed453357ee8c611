"""The progress bar of work on data: in silence at first, and where there is no terminal."""

from __future__ import annotations

import sys

import pytest

from lab.data import progress
from lab.data.progress import Progress


def test_nothing_is_shown_where_stderr_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_SILENT_SECONDS", 0)
    with Progress("tokenising", 100) as bar:
        bar.update(50)
    assert capsys.readouterr().err == ""


def test_a_terminal_sees_it_once_the_work_lasts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("tokenising", 100) as bar:
        bar.update(50)
        assert capsys.readouterr().err == "", "the first second passes in silence"
        monkeypatch.setattr(progress, "_SILENT_SECONDS", 0)
        bar.update(60)
        assert bar._bar is not None
        assert bar._bar.tasks[0].completed == 60
