"""A model in memory is shared: others get it between two reports of progress."""

from __future__ import annotations

import threading
from typing import Any, cast

from analysis_app.library import Opened, no_progress
from analysis_app.library.result_cache import ResultCache


def test_others_have_their_turn_between_two_steps() -> None:
    opened = Opened(cast(Any, None), key=(), size=0, lock=threading.RLock(), results=ResultCache())
    served, started = threading.Event(), threading.Event()

    def other() -> None:
        started.wait(60)
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
    thread.join(60)
    assert served.is_set()
