"""Work that takes a while: told, given up, shared, kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from analysis_app.library.cache import Results
from analysis_app.library.runs import Opened
from analysis_app.server import jobs
from analysis_app.server.jobs import GivenUpError, considerate, follow, no_progress
from lab.interp.ablation import Progress


def test_progress_then_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "TOLD_EVERY", 0)

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
    monkeypatch.setattr(jobs, "TOLD_EVERY", 0)
    ended, go_on = threading.Event(), threading.Event()

    def work(tell: Progress) -> None:
        tell(1, 1000)
        go_on.wait(60)
        try:
            tell(2, 1000)
        except GivenUpError:
            ended.set()
            raise

    events = follow(work)
    assert next(events)["done"] == 1
    cast(Any, events).close()  # as a server does when the browser has gone
    go_on.set()
    assert ended.wait(60)


def test_others_have_their_turn_between_two_steps() -> None:
    opened = cast(Opened, SimpleNamespace(lock=threading.RLock()))
    served, started = threading.Event(), threading.Event()

    def other() -> None:
        started.wait(60)
        with opened.lock:
            served.set()

    thread = threading.Thread(target=other)
    thread.start()
    with opened.lock:
        tell = considerate(opened, no_progress)
        started.set()
        steps = 0
        while not served.is_set() and steps < 60_000:
            tell(steps, 0)
            steps += 1
    thread.join(60)
    assert served.is_set()


def test_a_result_is_made_once_whoever_asks() -> None:
    results, made = Results(), []

    def make() -> int:
        made.append(1)
        return 42

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: results.get("key", make), range(24))) == [42] * 24
    assert len(made) == 1


def test_what_failed_is_made_by_the_next_and_old_ones_are_given_up() -> None:
    results = Results(most=2)

    def fail() -> int:
        raise GivenUpError

    with pytest.raises(GivenUpError):
        results.get("a", fail)
    assert results.get("a", lambda: 1) == 1
    assert results.get("b", lambda: 2) == 2
    assert results.get("a", lambda: 9) == 1
    assert results.get("c", lambda: 3) == 3
    assert results.get("b", lambda: 8) == 8  # the one asked for longest ago
    assert results.get("c", lambda: 9) == 3


def test_large_results_are_given_up_for_memory() -> None:
    import numpy as np

    results = Results(most_bytes=1000)
    for name in ("a", "b"):
        results.get(name, lambda: SimpleNamespace(values=np.zeros(100)))
    assert results.get("b", lambda: None) is not None
    assert results.get("a", lambda: "anew") == "anew"
