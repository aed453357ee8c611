"""Long work: it reports its progress, and ends when its client has gone.

{"event": "progress", "done": 3, "of": 17}, …, {"event": "result", "result": …}
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from lab.interp.ablation import Progress

REPORT_SECONDS = 0.05  # between two events of progress, at least


class GivenUpError(Exception):
    """The client of this work has gone."""


def follow(work: Callable[[Progress], Any]) -> Iterator[dict[str, Any]]:
    """Events of `work`, which runs in a thread of its own and is given a function to report progress to.

    What it raises is raised here. When the iterator is closed, the next report raises `GivenUpError` in the work, so
    that a browser that has gone costs no more than one step.
    """
    events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    given_up = threading.Event()
    reported = 0.0

    def report(done: int, of: int) -> None:
        nonlocal reported
        if given_up.is_set():
            raise GivenUpError
        if (now := time.monotonic()) - reported >= REPORT_SECONDS:
            reported = now
            events.put(("progress", (done, of)))

    def run() -> None:
        try:
            events.put(("result", work(report)))
        except Exception as error:
            events.put(("error", error))

    threading.Thread(target=run, name="analysis", daemon=True).start()
    try:
        while True:
            kind, value = events.get()
            if kind == "error":
                raise value
            if kind == "result":
                yield {"event": "result", "result": value}
                return
            yield {"event": "progress", "done": value[0], "of": value[1]}
    finally:
        given_up.set()
