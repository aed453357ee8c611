"""What a terminal, or a file in its place, shows while a run trains."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from lab.callbacks import progress
from lab.callbacks.progress import LabProgressBar


def fit_at(step: int, speed: float | None = None, *, total: int = 10, is_main_process: bool = True) -> Any:
    """A fit of 10 steps."""
    return cast(
        Any,
        SimpleNamespace(
            step=step,
            total_steps=total,
            is_main_process=is_main_process,
            module=SimpleNamespace(measured={"train/loss": 2.5}, validated={"val/loss": 2.25}),
            logbook=SimpleNamespace(speed=SimpleNamespace(tokens_per_second=speed)),
        ),
    )


@pytest.fixture(autouse=True)
def _always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)


def bar_on(is_terminal: bool) -> tuple[LabProgressBar, io.StringIO]:
    bar, screen = LabProgressBar(), io.StringIO()
    bar.console = Console(file=screen, force_terminal=is_terminal, width=100)
    return bar, screen


def test_without_a_terminal_it_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    bar, _ = bar_on(is_terminal=False)
    bar.start(fit_at(0))
    bar.after_step(fit_at(1))
    bar.validated(fit_at(1))
    bar.after_step(fit_at(2, 699.0))
    bar.after_step(fit_at(4, 6000.0, total=12))
    assert capsys.readouterr().err.splitlines() == [
        "step 1/10: loss 2.500",
        "step 2/10: loss 2.500, val loss 2.250, 699 tokens/s",
        "step 4/12: loss 2.500, val loss 2.250, 6,000 tokens/s",
    ]


def test_a_terminal_gets_a_bar_and_lines_above_it() -> None:
    bar, screen = bar_on(is_terminal=True)
    bar.start(fit_at(0))
    for step, total in ((1, 10), (5, 12)):
        bar._drawn = -1e9  # long ago
        bar.after_step(fit_at(step, 400.0, total=total))
    bar.say("a line above")
    bar.end(fit_at(5))
    shown = screen.getvalue()
    for part in ("step 5/12", "loss 2.500", "400 tok/s", "a line above"):
        assert part in shown
    bar.failed(fit_at(5), RuntimeError())  # closed already


def test_other_processes_show_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    bar, screen = bar_on(is_terminal=True)
    bar.start(fit_at(0, is_main_process=False))
    bar.after_step(fit_at(10, is_main_process=False))
    assert screen.getvalue() == capsys.readouterr().err == ""
