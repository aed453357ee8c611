"""A comparison in the terminal."""

from __future__ import annotations

import pytest

from lab.console.comparison import same_batches_sentence, show

GROUP = {
    "name": "A", "runs": {"fox\x1b[2J": {"value": 1.5, "seeds": {"weights": 1, "data": 1}}}, "n": 1,
    "mean": 1.5, "spread": None, "low": None, "high": None,
}  # fmt: skip
RESULT = {
    "metric": "val/loss", "axis": "step", "at": 60.0, "groups": [GROUP], "settings": {}, "differences": [],
    "same_batches": [], "notes": ["a note"],
}  # fmt: skip


def test_one_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    show(RESULT)
    said = capsys.readouterr().out
    for words in ("val/loss at step 60", "1.5000", "One configuration under several seeds", "a note", "\\x1b[2J"):
        assert words in said
    assert "\x1b[2J" not in said


def test_settings_that_differ_and_no_common_point(capsys: pytest.CaptureFixture[str]) -> None:
    other = GROUP | {"name": "B", "runs": {}, "mean": None}
    settings = {"model.bias": {"A": True, "B": False}, "data.path": {"A": None}}
    show(RESULT | {"at": None, "groups": [GROUP, other], "settings": settings})
    lines = capsys.readouterr().out.splitlines()
    assert "val/loss at no common point" in lines[0]
    assert any(line.split() == ["model.bias", "true", "false"] for line in lines)
    assert any(line.split() == ["data.path", "null", "–"] for line in lines)


def test_the_same_batches_in_a_sentence() -> None:
    same = {"first": "a", "second": "b", "groups": ["A", "B"], "from": 1, "to": 1200, "mean": -0.25, "low": -0.3}
    said = same_batches_sentence(same | {"high": -0.2})
    assert "steps 1 to 1,200: the training loss of b is 0.25 lower than that of a (95 % interval -0.3 to -0.2)" in said
    assert "interval" not in same_batches_sentence(same | {"low": None, "high": None})
