"""Commands that go on from a run, ready to be copied: quoted, and naming the folder of runs where it is another one."""

from __future__ import annotations

import shlex
from pathlib import Path

from lab.runs.paths import RunPaths

LAB = "python -m lab"
RESUMABLE = ("stopped", "failed", "stale")
"""States that `fit --resume` goes on from, given a checkpoint."""


def root_flag(root: str | Path, flag: str = "--root") -> str:
    """` --root FOLDER`, or nothing where that is the default folder, `runs`."""
    return "" if str(root) == "runs" else f" {flag} {shlex.quote(str(root))}"


def on_run(command: str, run: RunPaths, *words: str, lab: str = LAB) -> str:
    """`python -m lab COMMAND RUN WORD … --root FOLDER`; the words stay as they are."""
    return " ".join([lab, command, shlex.quote(run.name), *words]) + root_flag(run.path.parent)


def resume(run: RunPaths) -> str:
    """The command that goes on with a stopped or dead run."""
    return f"{LAB} fit --resume {shlex.quote(run.name)}{root_flag(run.path.parent, '--run.root')}"


def fork(run: RunPaths, step: int, *words: str) -> str:
    """The command that starts a new run from a step of this one; the words stay as they are."""
    root = root_flag(run.path.parent, "--run.root")
    return " ".join([f"{LAB} fit --fork {shlex.quote(f'{run.name}@{step}')}{root}", *words])
