"""What is written about a run while it trains: its clock, its lines, its end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import pytest

from lab.runs import create_run, open_run
from lab.runs.events import Rewound, of_kind
from lab.runs.seams import Seam, Seams
from lab.training.logbook import SPEED_SECONDS, Clock, Logbook, Speed


class Dashboard:
    """A logger that keeps what it gets."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        self.rows.append((step, values))


def seams(steps: int, tokens_per_step: int) -> Seams:
    """One stretch."""
    return Seams([Seam(0, 0, 0, tokens_per_step, 1, steps)])


@pytest.fixture
def logbook(tmp_path: Path) -> Logbook:
    return Logbook(create_run(tmp_path, "run"), seams(10, 100))


def test_the_clock_goes_on_from_before_and_stands_still_in_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = Clock(7.0)
    now[0] += 2
    clock.pause()
    now[0] += 30
    assert clock.seconds() == 9
    clock.go()
    clock.go()
    now[0] += 1
    assert clock.seconds() == 10


def test_the_speed_is_that_of_the_last_seconds_and_not_of_before() -> None:
    speed = Speed()
    assert speed.tokens_per_second is None
    for _ in range(130):
        speed.step(2048, 2.93)
    assert speed.tokens_per_second == pytest.approx(2048 / 2.93)
    for _ in range(round(SPEED_SECONDS / 0.34) + 1):
        speed.step(2048, 0.34)
    assert speed.tokens_per_second == pytest.approx(2048 / 0.34), "the neighbour has left ten seconds ago"
    speed.step(2048, 60.0)
    assert speed.tokens_per_second == pytest.approx(2048 / 60), "a step longer than that stands alone"


def test_a_line_reaches_file_and_dashboards(logbook: Logbook) -> None:
    board = Dashboard()
    logbook.begin(0, 0.0, [cast(Any, board)])
    logbook.log(3, {"train/loss": 2.5})
    logbook.log(4, {"train/loss": 2.25}, dashboards=False)
    logbook.end("completed", 10)
    rows = logbook.run.metrics().rows
    assert [(row["step"], row["tokens"], row.get("train/loss")) for row in rows] == [
        *((3, 300, 2.5), (4, 400, 2.25)),
        (10, 1000, None),  # the time at the end
    ]
    assert rows[-1]["time"] >= rows[-2]["time"]
    assert board.rows == [(3, {"train/loss": 2.5, "tokens": 300.0})]


def test_a_pause_is_in_events_and_status_and_not_in_the_time(logbook: Logbook) -> None:
    logbook.begin(0, 0.0, [])
    logbook.pause(4)
    assert open_run(logbook.run.path).status().state == "paused"
    assert logbook.go_on(4) >= 0
    logbook.end("stopped", 4, "as asked")
    status = open_run(logbook.run.path).status()
    assert (status.state, status.step, status.tokens, status.message) == ("stopped", 4, 400, "as asked")
    assert [event.kind for event in logbook.run.events()] == ["paused", "unpaused", "stopped"]


def test_a_rewound_run_says_from_where_and_repeats_its_validation_to_the_dashboards(tmp_path: Path) -> None:
    run, board = create_run(tmp_path, "run"), Dashboard()
    first = Logbook(run, seams(10, 100))
    first.begin(0, 0.0, [])
    for step in range(8):
        first.log(step, {"train/loss": 3.0, "val/loss": 2.0 + step})
    first.close()
    second = Logbook(run, seams(10, 100))
    second.begin(5, 1.5, [cast(Any, board)])
    second.close()
    (rewound,) = of_kind(run.events(), Rewound)
    assert (rewound.step, rewound.rewound_from) == (5, 7)
    assert second.clock.seconds() >= 1.5


def test_one_process_writes_a_run(logbook: Logbook) -> None:
    with pytest.raises(ValueError, match="is already being trained by"):
        Logbook(logbook.run, seams(10, 100))
    logbook.close()
    Logbook(logbook.run, seams(10, 100)).close()
