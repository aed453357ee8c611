"""A progress bar for work on data that lasts: downloads, tokenising."""

from __future__ import annotations

import sys
import time
from typing import Any

_SILENT_SECONDS = 1.0


class Progress:
    """Bytes done, speed and time left, on the terminal; nothing where stderr is none.

    The first second passes in silence: most work is done by then. `total` in bytes, `None` where it is unknown.
    """

    def __init__(self, what: str, total: int | None) -> None:
        self._what, self._total = what, total
        self._since = time.monotonic()
        self._bar: Any = None
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def update(self, done: int) -> None:
        """Show that `done` bytes of the total are done."""
        if self._shown and self._bar is None and time.monotonic() - self._since > _SILENT_SECONDS:
            self._start()
        if self._bar is not None:
            self._bar.update(self._task, completed=done)

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
