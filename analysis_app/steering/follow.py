"""Following a run: its files are read once for all clients that follow it.

Clients at the same place of the files share one reading (`Feed.next`), so fifty pages open on one run cost little more
than one. No client has a queue (`analysis_app.library.cursor`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from analysis_app.library.cursor import Place, messages_of, read_delta
from analysis_app.library.runs import file_mark
from lab.runs import Run
from lab.runs.paths import RunPaths

LOOK_SECONDS = 0.25  # between two looks at the files' sizes; a look costs some 20 microseconds
STATUS_SECONDS = 1.0  # at the latest: a run turns stale without any file changing
SHARED_SECONDS = 1.0  # for which what was read at the end of a file is given to other clients too
SHARED_BYTES, SHARED_PARTS = 12 << 20, 64  # of what is kept for other clients

Describe = Callable[[Run], dict[str, Any]]


@dataclass(frozen=True)
class Part:
    """A delta made ready to be sent."""

    place: Place
    messages: tuple[str, ...]
    behind: bool
    reset: bool
    read_at: float

    @property
    def size(self) -> int:
        """Characters."""
        return sum(map(len, self.messages))


def _read_part(run: RunPaths, place: Place) -> Part:
    delta = read_delta(run, place)
    texts = tuple(orjson.dumps(message | {"run": run.name}).decode() for message in messages_of(delta, place))
    return Part(delta.place, texts, delta.behind, delta.reset, time.monotonic())


class Feed:
    """One run, watched for all clients that follow it: `version` grows with every change of its files,
    `status_version` with every change of its `status` or its `weights`, as `describe` and `weigh` give them
    (`weigh`: the same object where nothing has changed).
    """

    def __init__(self, run: Run, describe: Describe, weigh: Callable[[Run], Any]) -> None:
        self.run = run
        self.version = self.status_version = 0
        self.status: dict[str, Any] = {}
        self.weights: Any = None
        self._describe, self._weigh = describe, weigh
        self._parts: OrderedDict[Place, asyncio.Task[Part]] = OrderedDict()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the present status, and watch the files from here on."""
        seen = self._marks()  # before the first read: a later change is new to every client
        await self._look_at_status()
        await self._look_at_weights()
        self._task = asyncio.create_task(self._look(seen))

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def next(self, place: Place) -> Part:
        """What comes after `place`; requests for the same place at about the same time share one reading.

        Raises `OSError` for a file that cannot be read.
        """
        task = self._parts.get(place)
        if task is None or (task.done() and not _still_good(task)):
            task = asyncio.create_task(asyncio.to_thread(_read_part, self.run, place))
            self._parts[place] = task
        self._parts.move_to_end(place)
        part = await asyncio.shield(task)
        if part.reset:
            self._parts.clear()  # read from a file that is gone
        self._make_room()
        return part

    async def changed(self, version: int, status_version: int, timeout: float) -> None:
        """Wait until a version is larger than these, `timeout` seconds at most."""
        event = self._changed
        if (self.version, self.status_version) == (version, status_version):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), timeout)

    def _make_room(self) -> None:
        def size(task: asyncio.Task[Part]) -> int:
            return task.result().size if task.done() and not task.cancelled() and not task.exception() else 0

        total = sum(map(size, self._parts.values()))
        while self._parts and (total > SHARED_BYTES or len(self._parts) > SHARED_PARTS):
            total -= size(self._parts.popitem(last=False)[1])

    def _marks(self) -> tuple[list[Any], Any]:
        run = self.run
        grown = (run.metrics_path, run.events_path, run.samples_path)
        return [file_mark(path) for path in grown], file_mark(run.status_path)

    async def _look(self, seen: tuple[list[Any], Any]) -> None:
        looked = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            before, seen = seen, self._marks()
            version, status_version = self.version, self.status_version
            self.version += seen[0] != before[0]
            if seen[1] != before[1] or time.monotonic() - looked >= STATUS_SECONDS:
                looked = time.monotonic()
                await self._look_at_status()
            await self._look_at_weights()
            if (version, status_version) != (self.version, self.status_version):
                self._changed.set()
                self._changed = asyncio.Event()

    async def _look_at_status(self) -> None:
        try:
            found = await asyncio.to_thread(self._describe, self.run)
        except OSError:  # unreadable at this moment: the last status stays, and is read again
            return
        self.status_version += _lasting(found) != _lasting(self.status)
        self.status = found

    async def _look_at_weights(self) -> None:
        try:
            found = await asyncio.to_thread(self._weigh, self.run)
        except (OSError, ValueError):  # as above; or the run is gone
            return
        self.status_version += found is not self.weights
        self.weights = found


def _still_good(task: asyncio.Task[Part]) -> bool:
    if task.cancelled() or task.exception() is not None:
        return False
    part = task.result()
    return part.behind or (bool(part.messages) and time.monotonic() - part.read_at < SHARED_SECONDS)


def _lasting(status: dict[str, Any]) -> dict[str, Any]:
    """A status without what changes at every look, such as the age of the heartbeat."""
    return {name: value for name, value in status.items() if name not in ("heartbeat", "heartbeat_age", "updated")}


class Feeds:
    """The feeds of the runs that are followed; a feed without clients is stopped."""

    def __init__(self, describe: Describe, weigh: Callable[[Run], Any]) -> None:
        self._describe, self._weigh = describe, weigh
        self._feeds: dict[str, tuple[Feed, asyncio.Task[None]]] = {}
        self._followers: dict[str, int] = {}

    @asynccontextmanager
    async def follow(self, run: Run) -> AsyncIterator[Feed]:
        """The feed of a run, for as long as the block lasts."""
        key = str(run.path)
        if key not in self._feeds:
            feed = Feed(run, self._describe, self._weigh)
            self._feeds[key] = feed, asyncio.create_task(feed.start())
        feed, started = self._feeds[key]
        self._followers[key] = self._followers.get(key, 0) + 1
        try:
            await asyncio.shield(started)
            yield feed
        finally:
            self._followers[key] -= 1
            if not self._followers[key]:
                del self._followers[key], self._feeds[key]
                await asyncio.gather(started, return_exceptions=True)
                await feed.stop()
