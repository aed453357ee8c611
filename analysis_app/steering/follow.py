"""What is new in a run's files since a cursor, read once for however many who want to know.

The files hold the history, and a cursor says how much of it somebody has; so nothing is queued for anybody. Who is
slow reads from further back and gets what came meanwhile in one piece, who is new begins at the start, who comes back
after a broken connection goes on where it was: all of them by the same `read_delta`. Those who stand at the same
place share one reading (`Feed.next`), so fifty pages open on one run cost little more than one.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from lab.runs import Cursor, EventReader, MetricsReader, Run, SampleReader
from lab.runs.journal import Row
from lab.runs.paths import RunPaths

CHUNK_BYTES = 4 << 20  # of a file at a time: some 20,000 lines of metrics
LOOK_SECONDS = 0.25  # between two looks at the files' sizes; a look costs some 20 microseconds
STATUS_SECONDS = 1.0  # at the latest: a run turns stale without any file changing
SHARED_SECONDS = 1.0  # how long the end of a file is handed out as it was read
SHARED_BYTES, SHARED_PARTS = 12 << 20, 64  # of what was read and is kept for those who come next
MOST_OFFSET = 2**62
START = Cursor()
LEFT_OUT = ("wall", "rewound_from")  # of a line of metrics.jsonl


@dataclass(frozen=True)
class Place:
    """How much of a run's three journals somebody has; as text it is the cursor of the web routes."""

    metrics: Cursor = START
    events: Cursor = START
    samples: Cursor = START

    def __str__(self) -> str:
        parts = [(c.offset, c.inode, c.tail, c.last_step) for c in (self.metrics, self.events, self.samples)]
        return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Place:
        """The place that a cursor stands for, the start for an empty one. Raises `ValueError` for anything else."""
        if not text:
            return cls()
        try:
            parts = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
            metrics, events, samples = (_cursor(*part) for part in parts)
            return cls(metrics, events, samples)
        except (binascii.Error, TypeError, ValueError):
            raise ValueError("cursor: not one that was given out here; leave it out to begin at the start") from None


def _cursor(offset: Any, inode: Any, tail: Any, last_step: Any) -> Cursor:
    numbers = all(type(n) is int and -1 <= n <= MOST_OFFSET * 4 for n in (offset, inode, last_step))
    if not numbers or not 0 <= offset <= MOST_OFFSET or not isinstance(tail, str):
        raise ValueError
    if len(tail) > 128 or len(bytes.fromhex(tail)) * 2 != len(tail) or offset < len(tail) // 2:
        raise ValueError
    return Cursor(offset, inode, tail, last_step)


@dataclass(frozen=True)
class Delta:
    """What came after a place. To apply it: drop rows of steps > `rewind`, then merge `columns` by step.

    `columns`: `step`, `tokens`, `time` and the metrics, lists of one length with null where a row has no value; a
    later row of a step that is known already adds to it. `behind`: there is more, read on from `place`. `reset`: a
    file is not the one that was read (truncated, replaced), nothing else is said, and reading begins at the start.
    """

    place: Place
    columns: dict[str, list[Any]] = field(default_factory=dict)
    rewind: int | None = None
    events: list[Row] = field(default_factory=list)
    samples: list[Row] = field(default_factory=list)
    behind: bool = False
    reset: bool = False


def read_delta(run: RunPaths, place: Place, most: int = CHUNK_BYTES) -> Delta:
    """What the journals of a run hold beyond `place`, of each about `most` bytes. Raises `OSError`."""
    metrics, events = MetricsReader(run, place.metrics), EventReader(run, place.events)
    samples = SampleReader(run, place.samples)
    numbers, happened, written = metrics.poll(most), events.poll(most), samples.poll(most)
    if numbers.reset or happened.reset or written.reset:
        return Delta(Place(), reset=True)
    return Delta(
        Place(metrics.cursor, events.cursor, samples.cursor),
        columns=as_columns(numbers.rows),
        rewind=numbers.rewind,
        events=happened.events,
        samples=written.samples,
        behind=metrics.behind or events.behind or samples.behind,
    )


def as_columns(rows: list[Row]) -> dict[str, list[Any]]:
    """Rows as one list a name: a third of the size in JSON, and a browser reads it six times as fast."""
    names: dict[str, None] = {}
    for keys in {tuple(row): None for row in rows}:
        names |= dict.fromkeys(keys)
    return {name: [row.get(name) for row in rows] for name in names if name not in LEFT_OUT}


def messages_of(delta: Delta, before: Place) -> Iterator[dict[str, Any]]:
    """A delta as the messages of the WebSocket, each with the cursor of who has received it and those before it.

    The cursor of a rewind is still the old one: whoever loses the connection then is told once more, which does no
    harm, and misses none of the rows that belong to it.
    """
    if delta.rewind is not None:
        yield {"type": "rewind", "step": delta.rewind, "cursor": str(before)}
    at = replace(before, metrics=delta.place.metrics)
    if delta.columns:
        yield {"type": "metrics", "columns": delta.columns, "cursor": str(at)}
    at = replace(at, events=delta.place.events)
    if delta.events:
        yield {"type": "events", "events": delta.events, "cursor": str(at)}
    if delta.samples:
        yield {"type": "samples", "samples": delta.samples, "cursor": str(delta.place)}


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
    texts = tuple(orjson.dumps(message).decode() for message in messages_of(delta, place))
    return Part(delta.place, texts, delta.behind, delta.reset, time.monotonic())


class Feed:
    """One run, watched for all who follow it: `version` grows with every change of its journals, and
    `status_version` with every change of what can be said of it (`status`, as `describe` gives it).
    """

    def __init__(self, run: Run, describe: Callable[[Run], dict[str, Any]]) -> None:
        self.run = run
        self.version = self.status_version = 0
        self.status: dict[str, Any] = {}
        self._describe = describe
        self._parts: OrderedDict[Place, asyncio.Task[Part]] = OrderedDict()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Learn the present state, and go on looking."""
        seen = self._marks()  # before anybody reads: what comes after is new to all of them
        await self._look_at_status()
        self._task = asyncio.create_task(self._look(seen))

    async def stop(self) -> None:
        """Look no longer."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def next(self, place: Place) -> Part:
        """What comes after `place`; those who ask for the same at about the same time share one reading.

        Raises `OSError` for a file that cannot be read.
        """
        task = self._parts.get(place)
        if task is None or (task.done() and not _still_good(task)):
            task = asyncio.create_task(asyncio.to_thread(_read_part, self.run, place))
            self._parts[place] = task
        self._parts.move_to_end(place)
        part = await asyncio.shield(task)
        if part.reset:
            self._parts.clear()  # what was read belongs to a file that is gone
        self._make_room()
        return part

    async def changed(self, version: int, status_version: int, timeout: float) -> None:
        """Wait until there is more than these versions, `timeout` seconds at most."""
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
        return [_mark(path) for path in (run.metrics_path, run.events_path, run.samples_path)], _mark(run.status_path)

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
            if (version, status_version) != (self.version, self.status_version):
                self._changed.set()
                self._changed = asyncio.Event()

    async def _look_at_status(self) -> None:
        try:
            found = await asyncio.to_thread(self._describe, self.run)
        except OSError:  # unreadable at this moment: what was known stays, and is looked at again
            return
        self.status_version += _lasting(found) != _lasting(self.status)
        self.status = found


def _still_good(task: asyncio.Task[Part]) -> bool:
    if task.cancelled() or task.exception() is not None:
        return False
    part = task.result()
    return part.behind or (bool(part.messages) and time.monotonic() - part.read_at < SHARED_SECONDS)


def _mark(path: os.PathLike[str]) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _lasting(status: dict[str, Any]) -> dict[str, Any]:
    """A status without what changes with every look: the age of a heartbeat is told when something else is."""
    return {name: value for name, value in status.items() if name not in ("heartbeat", "heartbeat_age", "updated")}


class Feeds:
    """The feeds of the runs that somebody follows; one that nobody follows any more is given up."""

    def __init__(self, describe: Callable[[Run], dict[str, Any]]) -> None:
        self._describe = describe
        self._feeds: dict[str, tuple[Feed, asyncio.Task[None]]] = {}
        self._followers: dict[str, int] = {}

    @asynccontextmanager
    async def follow(self, run: Run) -> AsyncIterator[Feed]:
        """The feed of a run, for as long as the block lasts."""
        key = str(run.path)
        if key not in self._feeds:
            feed = Feed(run, self._describe)
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
