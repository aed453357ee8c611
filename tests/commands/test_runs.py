"""`runs` and `runs show` as a person meets them: at 80 columns, in pipes, on damaged and hostile runs."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from lab.commands.runs import main
from lab.runs import Run
from lab.runs.snapshots import write_snapshot
from tests.console.test_runs import DATA, MODEL, make_run, root  # noqa: F401


def test_no_runs_yet(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == ("No runs in 'runs' yet. Start one:\n  python -m lab fit --config quickstart\n")
    assert main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(root, "fox")
    write_snapshot_of(Run(root / "fox"))
    assert main(["--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["state"], row["step"], row["path"]) == ("fox", "completed", 2000, "runs/fox")
    assert main(["show", "fox", "--json"]) == 0
    page = json.loads(capsys.readouterr().out)
    assert page["status"]["state"] == "completed"
    assert page["data"] == DATA
    assert page["config"] == {"seed": 1}
    assert page["metrics"]["latest"]["train/loss"] == 9 - 1900 / 250
    assert page["metrics"]["lowest"]["val/loss"] == [1900, 9.5 - 1900 / 250]
    assert [info["step"] for info in page["checkpoints"]] == [1000, 2000]
    assert [info["step"] for info in page["snapshots"]] == [0]
    assert [event["kind"] for event in page["events"]] == ["started", "checkpoint"]
    assert page["problems"] == []


def write_snapshot_of(run: Run) -> None:
    import torch

    write_snapshot(run, 0, {"w": torch.ones(2)}, model_config=MODEL)


@pytest.mark.parametrize(
    "arguments", [["show"], ["show", "last"], ["show", "--root", "runs", "fox"], ["show", "runs/fox"]]
)
def test_ways_to_name_a_run(root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    make_run(root, "fox")
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("fox  completed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fox"], "unknown argument 'fox': to see one run, `runs show fox`"),
        (["show", "foxx"], "no run 'foxx' in 'runs', did you mean 'fox'? There are: fox"),
        (["show", "../../etc"], "no run '../../etc'"),
        (["show", "a", "b"], "show takes one RUN, not 2"),
        (["--jsn"], "did you mean --json"),
        (["--root"], "expected one argument"),
        (["--root", "runs/fox/run.json"], "is not a folder"),
    ],
)
def test_mistakes_get_one_line(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    make_run(root, "fox")
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1


def test_as_a_command_it_is_quick_and_imports_nothing_heavy(root: Path) -> None:
    make_run(root, "fox")
    code = (
        "import sys; from lab.commands.runs import main; main([]);"
        "print(sorted({'torch', 'lightning', 'numpy'} & set(sys.modules)))"
    )

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.stdout.splitlines()[-1] == "[]", done.stderr
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(4)) < 0.4  # of processor time; about 0.15


def test_in_a_pipe_names_are_whole_and_a_closed_pipe_is_no_error(root: Path) -> None:
    name = "n" * 100
    make_run(root, name)
    # pytest's readline puts COLUMNS where only a child process sees it; a copy of os.environ is without it.
    command = [sys.executable, "-m", "lab", "runs"]
    listing = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert name in listing.stdout
    assert "\x1b" not in listing.stdout
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "runs", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()
