"""`watch` without a terminal."""

from __future__ import annotations

from typing import Any

from lab.commands.watch import main
from lab.runs import Run, StatusWriter
from tests.console.test_watch import run  # noqa: F401


def test_without_a_terminal_one_picture_and_out(run: Run, capsys: Any) -> None:
    with StatusWriter(run, total_steps=200) as status:
        status.update(state="running")
        assert main(["fox", "--root", str(run.path.parent)]) == 0
    assert "fox  running" in capsys.readouterr().out
    assert main(["wolf", "--root", str(run.path.parent)]) == 2
    assert "no run 'wolf'" in capsys.readouterr().err
