"""A model in memory is shared: others get it between two reports of progress; and computing gives way to a trainer."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

import pytest
import torch

from analysis_app.library import Opened, no_progress
from analysis_app.library import opened as opened_module
from analysis_app.library.opened import LOW_PRIORITY, Turn
from analysis_app.library.result_cache import ResultCache
from lab.waiting import Pressure
from tests.patience import PATIENCE

Found = TypeVar("Found")


def test_others_have_their_turn_between_two_steps() -> None:
    opened = Opened(cast(Any, None), key=(), size=0, lock=Turn(), results=ResultCache())
    served, started = threading.Event(), threading.Event()

    def other() -> None:
        started.wait(PATIENCE)
        with opened.lock:
            served.set()

    thread = threading.Thread(target=other)
    thread.start()
    with opened.lock:
        tell = opened.taking_turns(no_progress)
        started.set()
        steps = 0
        while not served.is_set() and steps < 60_000:
            tell(steps, 0)
            steps += 1
    thread.join(PATIENCE)
    assert served.is_set()


def in_a_thread(work: Callable[[], Found]) -> Found:
    found: list[Found] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join(PATIENCE)
    return found[0]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux only")
def test_the_thread_that_computes_has_a_low_priority_and_no_other() -> None:
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    turn = Turn()

    def priorities() -> tuple[int, int]:
        me = threading.get_native_id()
        early = os.getpriority(os.PRIO_PROCESS, me)
        with turn:
            return early, os.getpriority(os.PRIO_PROCESS, me)

    early, late = in_a_thread(priorities)
    assert (early, late) == (before, max(before, LOW_PRIORITY))
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


@pytest.mark.parametrize(("lacking", "threads"), [(None, 4), (1.0, 3), (4.0, 1)])
def test_beside_a_trainer_it_computes_with_as_many_threads_as_there_is_room_for(
    lacking: float | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, before = Pressure(), torch.get_num_threads()
    if lacking is not None:
        seen.judge(0.0, lacking)
    monkeypatch.setattr(opened_module, "pressure", seen)
    monkeypatch.setattr(opened_module, "usable_threads", lambda: (4, "four cores"))

    def count() -> int:
        with Turn():
            return torch.get_num_threads()

    try:
        assert in_a_thread(count) == threads
    finally:
        torch.set_num_threads(before)
