"""What is new in a run's files since a cursor.

The files hold the history and a cursor says how much of it a client has, so nothing is queued for any client: a slow
one reads from further back, a new one from the start, and one that reconnects from where it was, all by `read_delta`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from lab.runs import Cursor, EventReader, MetricsHistory, MetricsReader, SampleReader
from lab.runs.lines import Row
from lab.runs.paths import RunPaths

CHUNK_BYTES = 4 << 20  # of a file at a time: some 20,000 lines of metrics
MOST_OFFSET = 2**62
START = Cursor()
LEFT_OUT = ("wall", "rewound_from")  # of a line of metrics.jsonl


@dataclass(frozen=True)
class Place:
    """How much of metrics, events and samples a client has; as text it is the cursor of the web routes."""

    metrics: Cursor = START
    events: Cursor = START
    samples: Cursor = START

    def __str__(self) -> str:
        parts = [(c.offset, c.inode, c.tail, c.last_step) for c in (self.metrics, self.events, self.samples)]
        return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Place:
        """The place of a cursor, the start for an empty one. Raises `ValueError` for any other text."""
        if not text:
            return cls()
        try:
            parts = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
            metrics, events, samples = (_cursor(*part) for part in parts)
            return cls(metrics, events, samples)
        except (binascii.Error, TypeError, ValueError):
            raise ValueError("cursor: not one from this server; leave it out to begin at the start") from None


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
    file is not the one that was read (truncated, replaced): the rest is empty, and reading begins at the start.
    """

    place: Place
    columns: dict[str, list[Any]] = field(default_factory=dict)
    rewind: int | None = None
    events: list[Row] = field(default_factory=list)
    samples: list[Row] = field(default_factory=list)
    behind: bool = False
    reset: bool = False


def read_delta(run: RunPaths, place: Place, most: int = CHUNK_BYTES) -> Delta:
    """The rows, events and samples of a run beyond `place`, of each file about `most` bytes. Raises `OSError`."""
    metrics, events = MetricsReader(run, place.metrics), EventReader(run, place.events)
    samples = SampleReader(run, place.samples)
    rows, happened, written = metrics.poll(most), events.poll(most), samples.poll(most)
    if rows.reset or happened.reset or written.reset:
        return Delta(Place(), reset=True)
    return Delta(
        Place(metrics.cursor, events.cursor, samples.cursor),
        columns=as_columns(rows.rows),
        rewind=rows.rewind,
        events=[event.as_row() for event in happened.events],
        samples=written.samples,
        behind=metrics.behind or events.behind or samples.behind,
    )


def read_history(run: RunPaths) -> tuple[MetricsHistory, Place]:
    """All rows of a run, and the place after them, from which a client goes on. Raises `OSError`."""
    metrics, events, samples = MetricsReader(run), EventReader(run), SampleReader(run)
    history = MetricsHistory()
    history.apply(metrics.poll())
    events.poll()
    samples.poll()
    return history, Place(metrics.cursor, events.cursor, samples.cursor)


def as_columns(rows: list[Row]) -> dict[str, list[Any]]:
    """Rows as one list a name: a third of the size in JSON, and parsed six times as fast by a browser."""
    names: dict[str, None] = {}
    for keys in {tuple(row): None for row in rows}:
        names |= dict.fromkeys(keys)
    return {name: [row.get(name) for row in rows] for name in names if name not in LEFT_OUT}


def messages_of(delta: Delta, before: Place) -> Iterator[dict[str, Any]]:
    """A delta as the messages of the WebSocket, each with the cursor of a client that has received it.

    The cursor of a rewind is still the old one: a client that loses the connection then gets the rewind twice, which
    does no harm, and misses none of the rows that belong to it.
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
