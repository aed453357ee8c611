"""`plan` with wrong input: one line and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.__main__ import main
from tests.planning.test_plan import _short, args, desk  # noqa: F401


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--horizon.steps", "0"], "horizon.steps"),
        (["--minutes", "-3"], "horizon.minutes is -3"),
        (["--predict.final_loss", "[2, 1]"], "predict.final_loss"),
        (["--model.config.n_layers", "nine"], "whole number"),
        (["--pilots"], "no such setting"),
        (["--data.batch_size", "4000000", "--data.path", "long.txt"], "long.txt does not exist"),
        (["--schedule", "schedule.xyz", "--measure", "false"], "--schedule"),
    ],
)
def test_a_mistake_is_a_line(desk: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str) -> None:
    assert main(["plan", *args(desk, *more)]) == 2
    err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert words in "\n".join(err)
    assert len(err) == 1
