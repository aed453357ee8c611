"""Heartbeats of trainers elsewhere, on clocks that are ahead, behind, or the same."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.runs import Run, StatusWriter, create_run, heartbeats, list_runs, open_run
from lab.runs.control import send_command
from lab.runs.heartbeats import STALE_SECONDS, judge, may_still_move

HOUR = 3600.0
Beat = Callable[..., None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let seconds go by for this process, on both of its clocks."""
    gone = [0.0]
    wall, monotonic = time.time, time.monotonic
    monkeypatch.setattr(time, "time", lambda: wall() + gone[0])
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + gone[0])
    return lambda seconds: gone.__setitem__(0, gone[0] + seconds)


def beat(run: Run, ahead: float = 0.0, *, ago: float = 0.0) -> None:
    """What a trainer on host `server`, whose clock is so many seconds ahead, writes with each heartbeat."""
    now = time.time() - ago
    there = {
        "machine": "server/boot",
        "host": "server",
        "pid": 77,
        "heartbeat": now + ahead,
        "started": now + ahead - 60,
    }
    run.status_path.write_text(json.dumps(json.loads(run.status_path.read_text()) | there))
    os.utime(run.status_path, (now, now))


@pytest.fixture
def elsewhere(run: Run) -> Run:
    """A run in training on another machine."""
    with StatusWriter(run, step=7) as status:
        status.update(state="running")
    beat(run)
    return run


@pytest.mark.parametrize("ahead", [0.0, 2 * HOUR, -60.0, -2 * HOUR])
def test_alive_while_it_moves_and_stale_when_it_does_not(
    ahead: float, elsewhere: Run, clock: Callable[[float], None]
) -> None:
    for _ in range(5):
        beat(elsewhere, ahead)
        status = elsewhere.status()
        assert status.state == "running"
        assert (status.reason is None) == (ahead == 0)
        assert time.time() - (status.heartbeat or 0) == pytest.approx(0, abs=20), "told on the reader's clock"
        assert time.time() - (status.started or 0) == pytest.approx(60, abs=20)
        clock(5)
    clock(STALE_SECONDS)
    status = elsewhere.status()
    assert status.state == "stale"
    assert "from host server" in str(status.reason)


@pytest.mark.parametrize(
    ("ahead", "said"), [(2 * HOUR, "host server's clock is about 2 h ahead of this machine's"), (-60.0, "1 min behind")]
)
def test_a_clock_that_differs_is_said(ahead: float, said: str, elsewhere: Run, clock: Callable[[float], None]) -> None:
    beat(elsewhere, ahead)
    assert said in str(elsewhere.status().reason)
    clock(60)
    stale = elsewhere.status()
    assert stale.reason.startswith("no heartbeat for 60 s from host server")  # type: ignore[union-attr]
    assert (said in str(stale.reason)) == (ahead > 0)  # behind, it may as well have been copied


@pytest.mark.parametrize("ahead", [2 * HOUR, 0.0, -60.0])
def test_killed_it_takes_no_command_and_is_not_last(ahead: float, elsewhere: Run) -> None:
    beat(elsewhere, ahead, ago=60)
    with pytest.raises(ValueError, match=r"is stale .*no heartbeat for 60 s"):
        send_command(elsewhere, "pause")
    newer = create_run(elsewhere.path.parent, "newer")
    with StatusWriter(newer):
        assert [run.name for run in list_runs(elsewhere.path.parent)] == ["fox", "newer"]
        assert open_run("last", elsewhere.path.parent).name == "newer"


def test_a_command_reaches_a_trainer_that_is_behind(elsewhere: Run) -> None:
    beat(elsewhere, -60)
    assert send_command(elsewhere, "pause")


@pytest.mark.parametrize("skew", [60.0, 2 * HOUR, -2 * HOUR])
def test_it_is_this_machine_whose_clock_is_wrong(
    skew: float, elsewhere: Run, monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None]
) -> None:
    """The file's time is right, so a first look by this machine's clock errs; what moves is alive."""
    wall = time.time
    beat(elsewhere)
    monkeypatch.setattr(heartbeats.time, "time", lambda: wall() + skew)
    first = elsewhere.status()
    assert first.state == ("stale" if skew > 0 else "running")
    assert may_still_move(elsewhere.status_path) is True
    assert send_command(elsewhere, "pause"), "asked of the clock that dates the heartbeats"
    monkeypatch.undo()
    beat(elsewhere)
    monkeypatch.setattr(heartbeats.time, "time", lambda: wall() + skew)
    moved = elsewhere.status()
    assert moved.state == "running"
    assert "clock is about" in str(moved.reason)


def test_a_copy_made_later_is_no_clock(elsewhere: Run) -> None:
    beat(elsewhere, -3 * 86400)
    status = elsewhere.status()
    assert (status.state, status.reason) == ("stale", "no heartbeat for 259200 s from host server")
    assert not may_still_move(elsewhere.status_path)


@settings(deadline=None)
@given(
    st.floats(-1e12, 1e12) | st.integers() | st.none() | st.booleans(),
    st.floats(-1e12, 1e12),
    st.booleans(),
    st.none() | st.text(max_size=3),
)
def test_any_numbers_are_judged(heartbeat: Any, written: float, active: bool, host: str | None) -> None:
    judged = judge(Path("wild"), {"heartbeat": heartbeat, "host": host}, written, active=active)
    assert judged.stale is None or active
    assert (judged.remark is None) == (judged.ahead == 0)
