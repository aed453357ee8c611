"""The runs of a folder, looked at once for all pages: which there are, what each is doing, which starts have failed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from analysis_app.library import Library, RunSummary
from analysis_app.steering.launch import Launcher

LOOK_SECONDS = 1.0  # between two looks; of a run at rest a look reads nothing but the times of a file


@dataclass(frozen=True)
class Seen:
    """One look at the folder. `failed_starts`: {"run", "wall", "reason", "log"} of each that left no run directory."""

    runs: dict[str, RunSummary] = field(default_factory=dict)  # the newest first
    failed_starts: list[dict[str, Any]] = field(default_factory=list)

    def since(self, before: Seen | None) -> dict[str, Any] | None:
        """What is new as a message, all of it where `before` is None; None where nothing is."""
        old = before or Seen()
        changed = [run for name, run in self.runs.items() if old.runs.get(name) != run]
        if before and not changed and [*old.runs] == [*self.runs] and old.failed_starts == self.failed_starts:
            return None
        return {"type": "runs", "runs": changed, "order": [*self.runs], "failed_starts": self.failed_starts}


class Folder:
    """The folder, watched while a page is open: `seen` is the last look."""

    def __init__(self, library: Library, launcher: Launcher) -> None:
        self.seen = Seen()
        self._library, self._launcher = library, launcher
        self._watchers = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[Folder]:
        """Look again and again for as long as the block lasts."""
        self._watchers += 1
        if self._watchers == 1:
            self._task = asyncio.create_task(self._look())
        try:
            self.seen = await asyncio.to_thread(self._now)
            yield self
        finally:
            self._watchers -= 1
            if not self._watchers and self._task is not None:
                self._task.cancel()

    async def changed(self, seen: Seen, timeout: float) -> None:
        """Wait until `seen` is another, `timeout` seconds at most."""
        event = self._changed
        if self.seen is seen:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), timeout)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                found = await asyncio.to_thread(self._now)
            except OSError:  # unreadable at this moment: what was seen stays
                continue
            if found != self.seen:
                self.seen = found
                self._changed.set()
                self._changed = asyncio.Event()

    def _now(self) -> Seen:
        runs = {run.name: run for run in self._library.runs()}
        return Seen(runs, [start.as_failure() for start in self._launcher.failed(runs)])
