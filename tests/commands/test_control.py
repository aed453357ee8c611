"""`control` as a person types it: one line and an exit code, whoever trains the run, or nobody."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.commands.control import main
from lab.runs import EventWriter, Run, StatusWriter, create_run
from lab.runs.control import ControlChannel
from tests.patience import PATIENCE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def trained(root: Path) -> Iterator[Run]:
    """A run with a trainer that answers, and refuses to pause."""
    run, over = create_run(root, "fox"), threading.Event()

    def train() -> None:
        with StatusWriter(run) as status, EventWriter(run) as events:
            status.update(state="running")
            channel = ControlChannel(run, events)
            ready.set()
            while not over.wait(0.01):
                for command in channel.poll(7):
                    if command.name == "pause":
                        channel.refuse(command, "not \x1b[31mnow", 7)
                    elif command.name == "lr":
                        channel.answer(command, 7, lr_scale=command.args["value"], before=1.0)
                    elif command.name == "sample":
                        channel.answer(command, 7, prompt=command.args["prompt"], text="is\nthat")
                    elif command.name == "stop":
                        status.update(state="stopped")

    ready = threading.Event()
    thread = threading.Thread(target=train)
    thread.start()
    ready.wait(PATIENCE)
    yield run
    over.set()
    thread.join()


def test_what_is_answered_is_said_in_a_line(trained: Run, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fox", "lr", "0.5", "--root", str(root)]) == 0
    assert capsys.readouterr().out == "fox at step 7: learning rate × 0.5 of the schedule, before × 1.0\n"
    assert main(["last", "sample", "to be, ", "--root", str(root)]) == 0
    assert capsys.readouterr().out == "fox at step 7: to be, is⏎that\n"
    assert main(["fox", "lr", "2", "--root", str(root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lr_scale"] == 2.0


def test_a_refusal_is_exit_code_2(trained: Run, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fox", "pause", "--root", str(root)]) == 2
    assert capsys.readouterr().err == "refused: not \\x1b[31mnow\n"


def test_a_trainer_that_leaves_is_not_waited_for(trained: Run, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert main(["fox", "stop", "--root", str(root), "--timeout", "600"]) == 2
    assert time.monotonic() - began < 300
    assert "run 'fox' is stopped, no process trains it any more" in capsys.readouterr().err


def test_a_busy_trainer_is_waited_for_in_vain(trained: Run, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fox", "checkpoint", "--root", str(root), "--timeout", "0.1"]) == 2
    assert "no answer within 0.1 s: run 'fox' is running" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fox", "pause"], "run 'fox' is broken"),
        (["cat", "pause"], "no run 'cat'"),
        (["fox", "explode"], "unknown command 'explode'; commands are pause, resume"),
        (["fox", "lr"], "lr needs a value: the factor on the schedule"),
        (["fox", "lr", "high"], "lr 'high': give the factor"),
        (["fox", "lr", "-1"], "a number from 0 to 1000"),
        (["fox", "stop", "now"], "stop takes no value, not 'now'"),
        (["fox", "stop", "--timeout", "-1"], "--timeout -1: give seconds"),
        (["fox"], "COMMAND"),
        ([], "RUN"),
    ],
)
def test_what_makes_no_sense(root: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    create_run(root, "fox")
    assert main([*words, "--root", str(root)]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
