"""Work that takes a while: it says how far it is, and ends when nobody waits for it any more.

{"event": "progress", "done": 3, "of": 17}, …, {"event": "result", "result": …}
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from lab.interp.ablation import Progress

TOLD_EVERY = 0.05  # seconds between two events of progress, at least


class GivenUpError(Exception):
    """Nobody waits for this work any more."""


def follow(work: Callable[[Progress], Any]) -> Iterator[dict[str, Any]]:
    """Events of `work`, which is called in a thread of its own with a function that it tells its progress to.

    What it raises is raised here. When the iterator is closed, the work's next word of progress raises
    `GivenUpError` in it, so that a browser that went away costs no more than the step it is at.
    """
    events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    given_up = threading.Event()
    told = 0.0

    def tell(done: int, of: int) -> None:
        nonlocal told
        if given_up.is_set():
            raise GivenUpError
        if (now := time.monotonic()) - told >= TOLD_EVERY:
            told = now
            events.put(("progress", (done, of)))

    def run() -> None:
        try:
            events.put(("result", work(tell)))
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
