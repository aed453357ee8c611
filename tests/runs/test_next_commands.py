"""Commands to be copied: a shell takes them apart into what was meant, whatever a folder is called."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from lab.runs import Run
from lab.runs.next_commands import fork, on_run, resume, root_flag

PROGRAM = ["python", "-m", "lab"]


def test_under_the_default_root_the_name_is_enough() -> None:
    run = Run(Path("runs") / "fox")
    assert resume(run) == "python -m lab fit --resume fox"
    assert on_run("runs show", run) == "python -m lab runs show fox"
    assert fork(run, 30) == "python -m lab fit --fork fox@30"
    assert root_flag("runs") == root_flag(Path("runs")) == ""


@pytest.mark.parametrize("root", ["other", "/abs/runs", "with blank", "quo'te", "$HOME;x"])
def test_any_other_root_is_named_and_quoted(root: str) -> None:
    run = Run(Path(root) / "a fox")
    assert shlex.split(resume(run)) == [*PROGRAM, "fit", "--resume", "a fox", "--run.root", root]
    assert shlex.split(on_run("batch", run, "0")) == [*PROGRAM, "batch", "a fox", "0", "--root", root]
    words = ["--horizon.steps", "9"]
    assert shlex.split(fork(run, 3, *words)) == [*PROGRAM, "fit", "--fork", "a fox@3", "--run.root", root, *words]


def test_another_python_can_be_named() -> None:
    assert on_run("generate", Run(Path("runs/fox")), lab="env/python -m lab") == "env/python -m lab generate fox"
