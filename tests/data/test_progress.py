"""The progress of work on data: silence at first, then a bar on a terminal, and lines where there is none."""

from __future__ import annotations

import sys

import pytest

from lab.data import progress
from lab.data.progress import Progress


class Clock:
    """A clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


def test_where_there_is_no_terminal_a_line_comes_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    with Progress("tokenising", 1_070_000_000) as bar:
        for second in range(1, 601):
            clock.now = 100.0 + second
            bar.update(second * 1_000_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "tokenising: 1% of 1.07 GB, 1 MB/s, 18 min left"
    assert lines[-1] == "tokenising: 600 MB in 10 min"
    assert 12 < len(lines) < 40


def test_what_is_soon_done_passes_in_silence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    with Progress("tokenising", 100) as bar:
        clock.now += 9
        bar.update(50)
    assert capsys.readouterr().err == ""


def test_without_a_total_there_is_no_share(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock(monkeypatch)
    for total in (None, 1000):  # and of a total that was too small, none either
        with Progress("reading", total) as bar:
            clock.now += 20
            bar.update(4_000_000)
            assert capsys.readouterr().err == "reading: 4 MB, 200 kB/s\n"
        capsys.readouterr()


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
