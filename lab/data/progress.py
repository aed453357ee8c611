"""How far work on data is that lasts: downloads, hashing, reading, learning a vocabulary, tokenising."""

from __future__ import annotations

import sys
import time
from typing import Any

from lab.units import byte_count, duration

_SILENT_SECONDS = 1.0
_LINE_SECONDS = 10.0  # between two lines; a tenth of the time so far where that is longer


def say(line: str) -> None:
    """A line on stderr."""
    print(line, file=sys.stderr, flush=True)


class Progress:
    """Bytes done, their share, speed and time left: a bar on a terminal, a line now and then where stderr is none.

    The beginning passes in silence, a second or ten: most work is done by then. `total` in bytes, `None` where it is
    unknown.
    """

    def __init__(self, what: str, total: int | None) -> None:
        self._what, self._total = what, total
        self._since = self._said = time.monotonic()
        self._bar: Any = None
        self._terminal = sys.stderr.isatty()
        self._done = 0

    def __enter__(self) -> Progress:
        return self

    def update(self, done: int) -> None:
        """Show that `done` bytes of the total are done."""
        self._done, now = done, time.monotonic()
        if self._terminal:
            if self._bar is None and now - self._since > _SILENT_SECONDS:
                self._start()
            if self._bar is not None:
                self._bar.update(self._task, completed=done)
        elif now - self._said >= max(_LINE_SECONDS, (now - self._since) / 10):
            self._said = now
            say(self._line(now - self._since))

    def _line(self, seconds: float) -> str:
        speed = self._done / max(seconds, 1e-9)
        if not self._total or self._done > self._total or not self._done:
            return f"{self._what}: {byte_count(self._done)}, {byte_count(speed)}/s"
        left = duration((self._total - self._done) / speed, 2)
        of = f"{self._done / self._total:.0%} of {byte_count(self._total)}"
        return f"{self._what}: {of}, {byte_count(speed)}/s, {left} left"

    def _start(self) -> None:
        from rich import progress
        from rich.console import Console

        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
        )
        self._bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._what, total=self._total)
        self._bar.start()

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._said > self._since:
            say(f"{self._what}: {byte_count(self._done)} in {duration(time.monotonic() - self._since, 2)}")
