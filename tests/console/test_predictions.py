"""The questions before a run, as a terminal asks them."""

from __future__ import annotations

import io

import pytest

from lab.console.predictions import interview
from lab.settings.groups import PredictConfig


def test_the_person_is_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter(["high", "1.8-2.0", "4", "", "150 20", "30", "by counting"])
    asked = PredictConfig(ask=True)
    interview(asked, first=True, ask=lambda _: next(answers))
    assert (asked.final_loss, asked.minutes, asked.overfit, asked.sample_quality) == ([1.8, 2.0], 4.0, None, 30.0)
    assert asked.mental_model == "by counting"
    assert capsys.readouterr().out.count("number") == 2
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(ValueError, match="no terminal"):
        interview(PredictConfig(ask=True), first=False)
