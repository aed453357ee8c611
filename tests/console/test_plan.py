"""A plan in the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.__main__ import main
from lab.console.plan import bar
from lab.settings.arguments import Arguments
from tests.planning.test_plan import _short, args, desk  # noqa: F401


def test_on_the_terminal_in_80_columns(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    picture = desk / "schedule.svg"
    assert main(["plan", *args(desk, "--measure", "false", "--schedule", str(picture))]) == 0
    out = capsys.readouterr().out
    for word in ("Parameters", "Learning rate", "warm-up", "activations", "tokens a parameter", "not enough to say"):
        assert word in out
    command = next(line for line in out.splitlines() if "lab fit" in line)
    assert max(len(line) for line in out.splitlines() if line != command) <= 80
    assert "--schedule" not in command
    assert picture.read_text().startswith("<?xml")


def test_small_words() -> None:
    flags = {"pilot": 0, "minutes": 0, "json": 0}
    line = "--pilot --minutes 10 --json true --horizon.steps 3 --minutes=4 --y 1".split()  # noqa: SIM905
    assert Arguments.of(line).without(*flags).words() == ["--horizon.steps", "3", "--y", "1"]
    assert len(bar(1.0)) == 28
    assert bar(1e-9)
