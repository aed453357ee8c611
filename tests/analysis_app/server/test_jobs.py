"""Work that takes a while: reported, and ended when nothing waits for it."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from analysis_app.server import jobs
from analysis_app.server.jobs import GivenUpError, follow
from lab.interp.ablation import Progress
from tests.patience import PATIENCE


def test_progress_then_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "REPORT_SECONDS", 0)

    def work(tell: Progress) -> str:
        for i in range(3):
            tell(i + 1, 3)
        return "done"

    events = list(follow(work))
    assert [event["event"] for event in events] == ["progress"] * 3 + ["result"]
    assert events[1] == {"event": "progress", "done": 2, "of": 3}
    assert events[-1]["result"] == "done"


def test_what_goes_wrong_is_raised_where_one_waits() -> None:
    def work(tell: Progress) -> None:
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        list(follow(work))


def test_work_that_nobody_waits_for_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "REPORT_SECONDS", 0)
    ended, go_on = threading.Event(), threading.Event()

    def work(tell: Progress) -> None:
        tell(1, 1000)
        go_on.wait(PATIENCE)
        try:
            tell(2, 1000)
        except GivenUpError:
            ended.set()
            raise

    events = follow(work)
    assert next(events)["done"] == 1
    cast(Any, events).close()  # as a server does when the browser has gone
    go_on.set()
    assert ended.wait(PATIENCE)
