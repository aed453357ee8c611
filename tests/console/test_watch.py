"""`watch`: one picture of a running, finished, dead or damaged run, in wide and narrow terminals and in a pipe."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from rich.console import Console

from lab.console.format import STATE_STYLES
from lab.console.watch import Watched, picture
from lab.diagnosis import RULES
from lab.diagnosis.finding import Found
from lab.runs import EventWriter, MetricsWriter, Run, SampleWriter, StatusWriter, create_run
from lab.runs.events import CommandRefused, Started
from tests.checkpoints import write_checkpoint

HOSTILE = "\x1b]0;owned\x07"


def grow(run: Run, start: int, end: int) -> None:
    with MetricsWriter(run, start_step=start) as metrics:
        for step in range(start, end):
            values = {"train/loss": 9 - step / 50, "train/lr": 1e-3, "train/grad_norm": None}
            metrics.write(step, step * 64, step / 10, values)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = create_run(tmp_path / "runs", "fox")
    grow(run, 0, 100)
    with EventWriter(run) as events, SampleWriter(run) as samples:
        events.write(Started(step=0, changed={}))
        events.write(RULES["lr_too_high"].finding(Found("alarm", "the rate is too high", 50), 50))
        events.write(CommandRefused(step=60, command="pause", reason=HOSTILE, id="1"))
        samples.write(64, "to be", f" or {HOSTILE}\nnot")
    return run


def shown(run: Run, width: int = 100) -> str:
    watched = Watched(run)
    watched.look()
    console = Console(record=True, width=width, file=open(os.devnull, "w"), highlight=False)  # noqa: SIM115
    console.print(picture(watched, console))
    return console.export_text()


@pytest.mark.parametrize("width", [100, 60, 34])
def test_a_running_run_at_every_width(run: Run, width: int) -> None:
    with StatusWriter(run, total_steps=200, step=100, details={"training_seconds": 90.0}) as status:
        status.update(state="running", eta_seconds=120.0)
        text = shown(run, width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert "fox running" in words
    assert "(50%)" in words
    assert "2 min trained" in words
    assert "2 min left" in words
    assert "▇" in text
    assert "9.000 → 7.020" in words
    assert "1.00e-03" in words
    assert "step 64" in words
    assert "finding" in words
    assert "\x1b" not in text
    assert "\x07" not in text


def test_a_dead_run_says_since_when_and_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with StatusWriter(run, total_steps=200, step=100) as status:
        status.update(state="running")
        write_checkpoint(run, 100, lambda file: file.write(b"x"))
    heard = time.time()
    monkeypatch.setattr("lab.runs.heartbeats.process_start", lambda pid: None)
    monkeypatch.setattr(time, "time", lambda: heard + 120)
    text = " ".join(shown(run).split())
    assert "fox stale" in text
    assert "last heard of 2 min ago" in text
    assert "fit --resume fox" in text


def test_every_state_has_a_picture(run: Run) -> None:
    assert "broken" in shown(run)
    for state in ("stopped", "completed", "failed"):
        with StatusWriter(run) as status:
            status.update(state=state, message="as asked")
        assert f"fox  {state}" in shown(run)
    assert {"stale", "broken", "paused"} <= STATE_STYLES.keys()


def test_looking_again_adds_what_is_new_and_drops_what_was_taken_back(run: Run) -> None:
    watched = Watched(run)
    watched.look()
    grow(run, 40, 60)
    watched.look()
    assert watched.metrics.series("train/loss")[0] == list(range(60))
