"""The files of a run that only grow: `metrics.jsonl`, `events.jsonl`, `samples.jsonl`; writers, and readers with a cursor.

A reader keeps a byte position and is asked again and again (`poll`); it returns what is new. It lives through whatever a
crash can do to the files: a last line still half-written is left for later, a damaged one is skipped and counted, a
file that was truncated or replaced is read again from its start after a `reset`.

Training can go back: killed at step 900 and resumed from the checkpoint of step 500, it writes steps 501 to 900 once
more. The metrics writer then puts a line in between that says so, `{"step": 500, "rewound_from": 900, …}`, and a reader
drops what it holds beyond step 500. A line whose step is smaller than that of the line before it says the same.
"""

from __future__ import annotations

import math
import os
import time as clock
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from lab.runs.atomic import LineAppender, plain
from lab.runs.paths import RunPaths

RESERVED = frozenset({"step", "tokens", "time", "wall", "rewound_from"})
EVENT_KINDS = (
    *("started", "paused", "unpaused", "lr_changed", "checkpoint", "sample", "finding", "command_answered"),
    *("command_refused", "instrument_failed", "resumed", "rewound", "stopped", "completed", "failed"),
)

_TAIL_BYTES = 64  # enough of the text before the cursor to notice that the file is no longer the one that was read
_NUMERIC = frozenset({int, float, type(None)})
_JSON_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY

Row = dict[str, Any]


class _JournalWriter:
    """What the writers share: one `LineAppender` and a `with` block."""

    def __init__(self, path: Path) -> None:
        self._lines = LineAppender(path)

    def _append(self, line: Mapping[str, Any]) -> None:
        self._lines.append(orjson.dumps(line, default=plain, option=_JSON_OPTIONS))

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class MetricsWriter(_JournalWriter):
    """Appends lines to metrics.jsonl, for a process that trains from `start_step` on.

    When the file already reaches beyond `start_step`, the training has gone back: a line that says so is appended at
    once and `rewound_from` (else None) names the step the file had reached.
    """

    def __init__(self, run: RunPaths, *, start_step: int = 0) -> None:
        super().__init__(run.metrics_path)
        self._last_step = start_step
        self.rewound_from: int | None = None
        reached = _last_step(run.metrics_path)
        if reached is not None and reached > start_step:
            self.rewound_from = reached
            self._append({"step": start_step, "rewound_from": reached, "wall": _now()})

    def write(self, step: int, tokens: int, time: float, values: Mapping[str, Any]) -> None:
        """Append one line: `step` optimizer steps done, `tokens` seen, `time` training seconds without pauses.

        Several lines of one step are one row to a reader. Values are numbers (tensors and numpy scalars too; on a GPU that
        waits for the device); NaN and infinity are written as `null`. Raises `ValueError` for a step before the last
        one or a name that is reserved, `WriteError` when the disk is full.
        """
        if step < self._last_step:
            raise ValueError(f"metrics of step {step} after those of step {self._last_step}: steps only grow")
        if clash := RESERVED & values.keys():
            raise ValueError(f"metrics may not be called {', '.join(sorted(clash))}: every line has these already")
        line = {"step": step, "tokens": tokens, "time": round(time, 3), "wall": _now()}
        self._append(line | {name: _number(name, value) for name, value in values.items()})
        self._last_step = step


class EventWriter(_JournalWriter):
    """Appends to events.jsonl."""

    def __init__(self, run: RunPaths) -> None:
        super().__init__(run.events_path)

    def write(self, kind: str, step: int | None = None, **payload: Any) -> None:
        """Append `{"kind", "step", "wall", **payload}`. Raises `ValueError` for a kind not in `EVENT_KINDS`."""
        if kind not in EVENT_KINDS:
            raise ValueError(f"unknown event kind {kind!r}; kinds are {', '.join(EVENT_KINDS)}")
        self._append({"kind": kind, "step": step, "wall": _now()} | payload)


class SampleWriter(_JournalWriter):
    """Appends to samples.jsonl."""

    def __init__(self, run: RunPaths) -> None:
        super().__init__(run.samples_path)

    def write(self, step: int, prompt: str, text: str, **settings: Any) -> None:
        """Append `{"step", "wall", "prompt", "text", **settings}`; `text` is what the model wrote after the prompt."""
        self._append({"step": step, "wall": _now(), "prompt": prompt, "text": text} | settings)


@dataclass(frozen=True)
class Cursor:
    """A position in a growing file, plain enough to be sent to a browser and back."""

    offset: int = 0
    inode: int = 0
    tail: str = ""  # hexadecimal: the bytes just before the offset
    last_step: int = -1


class LineReader:
    """Complete lines of a growing file, each once."""

    def __init__(self, path: Path, cursor: Cursor | None = None) -> None:
        self.path = path
        start = cursor or Cursor()
        self._offset, self._inode, self._tail = start.offset, start.inode, bytes.fromhex(start.tail)

    def cursor(self, last_step: int = -1) -> Cursor:
        """Where reading goes on."""
        return Cursor(self._offset, self._inode, self._tail.hex(), last_step)

    def read(self) -> tuple[list[bytes], bool]:
        """`(lines, reset)`: the lines completed since the last call; `reset` when they start the file anew."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            vanished = self._offset > 0
            self._offset, self._inode, self._tail = 0, 0, b""
            return [], vanished
        try:
            reset = self._offset > 0 and not self._is_same_file(descriptor)
            if reset:
                self._offset = 0
            with open(descriptor, "rb", closefd=False) as file:
                file.seek(self._offset)
                data = file.read()
            end = data.rfind(b"\n") + 1
            self._offset += end
            self._inode = os.fstat(descriptor).st_ino
            if end or reset:
                self._tail = os.pread(descriptor, min(_TAIL_BYTES, self._offset), max(0, self._offset - _TAIL_BYTES))
        finally:
            os.close(descriptor)
        return data[:end].split(b"\n")[:-1], reset

    def _is_same_file(self, descriptor: int) -> bool:
        found = os.fstat(descriptor)
        if found.st_ino != self._inode or found.st_size < self._offset:
            return False
        # Truncated and grown again between two looks: size and inode fit, the text before the cursor does not.
        return os.pread(descriptor, len(self._tail), self._offset - len(self._tail)) == self._tail


@dataclass(frozen=True)
class MetricsDelta:
    """What is new in metrics.jsonl. To apply: forget everything if `reset`; drop rows of steps > `rewind` if that is
    not None; then add `rows`, merging those of a step already held (of two values of one name the later counts).
    """

    rows: list[Row] = field(default_factory=list)  # of growing step: step, tokens, time, wall and the values
    rewind: int | None = None
    reset: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)


class MetricsReader:
    """Follows metrics.jsonl: `poll()` returns what is new. `skipped` counts damaged lines so far."""

    def __init__(self, run: RunPaths, cursor: Cursor | None = None) -> None:
        self._lines = LineReader(run.metrics_path, cursor)
        self._last_step = cursor.last_step if cursor else -1
        self.skipped = 0

    @property
    def cursor(self) -> Cursor:
        """Where to go on; a new reader given this continues as this one would."""
        return self._lines.cursor(self._last_step)

    def poll(self) -> MetricsDelta:
        """Rows completed since the last call; 100 000 lines take about a third of a second."""
        lines, reset = self._lines.read()
        if reset:
            self._last_step, self.skipped = -1, 0
        rows: dict[int, Row] = {}
        rewind: int | None = None
        for line in lines:
            row = _parse_row(line)
            if row is None:
                self.skipped += bool(line)
                continue
            step: int = row["step"]
            if step < self._last_step or "rewound_from" in row:
                _drop_beyond(rows, step)
                rewind = step if rewind is None else min(rewind, step)
            self._last_step = step
            if "rewound_from" not in row:
                _merge(rows, row)
        return MetricsDelta(list(rows.values()), rewind, reset)


class MetricsHistory:
    """All rows of a run, one a step, kept up to date by `apply`."""

    def __init__(self, skipped: int = 0) -> None:
        self._rows: dict[int, Row] = {}
        self.skipped = skipped  # damaged lines met while reading

    @property
    def rows(self) -> list[Row]:
        """The rows in the order of their steps."""
        return list(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def apply(self, delta: MetricsDelta) -> None:
        """Bring in what a reader found."""
        if delta.reset:
            self._rows.clear()
        if delta.rewind is not None:
            _drop_beyond(self._rows, delta.rewind)
        for row in delta.rows:
            _merge(self._rows, dict(row))

    def names(self) -> list[str]:
        """The metrics that occur, sorted."""
        return sorted({name for row in self._rows.values() for name in row} - RESERVED)

    def series(self, name: str) -> tuple[list[int], list[float]]:
        """`(steps, values)` of a metric, where it has a value."""
        found = [(step, row[name]) for step, row in self._rows.items() if row.get(name) is not None]
        return [step for step, _ in found], [value for _, value in found]

    def latest(self, name: str) -> float | None:
        """The last value of a metric that is not null."""
        return next((row[name] for row in reversed(self._rows.values()) if row.get(name) is not None), None)

    def best(self, name: str) -> tuple[int, float] | None:
        """`(step, value)` of the smallest value."""
        steps, values = self.series(name)
        return min(zip(steps, values, strict=True), key=lambda pair: pair[1]) if steps else None


def read_metrics(run: RunPaths) -> MetricsHistory:
    """Everything metrics.jsonl says now; empty when there is no such file."""
    reader = MetricsReader(run)
    delta = reader.poll()
    history = MetricsHistory(reader.skipped)
    history.apply(delta)
    return history


@dataclass(frozen=True)
class EventsDelta:
    """What is new in events.jsonl; `reset`: forget what came before."""

    events: list[Row] = field(default_factory=list)
    reset: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)


class EventReader:
    """Follows events.jsonl. Events are history: a rewind is itself an event and drops none."""

    def __init__(self, run: RunPaths, cursor: Cursor | None = None) -> None:
        self._lines = LineReader(run.events_path, cursor)
        self.skipped = 0

    @property
    def cursor(self) -> Cursor:
        """Where to go on."""
        return self._lines.cursor()

    def poll(self) -> EventsDelta:
        """Events completed since the last call; kinds this version does not know are passed on."""
        lines, reset = self._lines.read()
        events = [event for event in _parse_objects(lines) if isinstance(event.get("kind"), str)]
        self.skipped = (0 if reset else self.skipped) + sum(map(bool, lines)) - len(events)
        return EventsDelta(events, reset)


def read_events(run: RunPaths) -> list[Row]:
    """Everything events.jsonl says now."""
    return EventReader(run).poll().events


def read_samples(run: RunPaths) -> list[Row]:
    """The lines of samples.jsonl that hold a step and a text."""
    samples = _parse_objects(LineReader(run.samples_path).read()[0])
    return [s for s in samples if isinstance(s.get("step"), int) and isinstance(s.get("text"), str)]


def _now() -> float:
    return round(clock.time(), 3)


def _number(name: str, value: Any) -> float | int | None:
    if value is None or type(value) is int:
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"metric {name!r} must be a number, not {value!r}") from None
    return number if math.isfinite(number) else None


def _parse_objects(lines: Iterable[bytes]) -> list[Row]:
    found = []
    for line in lines:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def _parse_row(line: bytes) -> Row | None:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if type(row) is not dict or type(step := row.get("step")) is not int or step < 0:
        return None
    if not _NUMERIC.issuperset(map(type, row.values())):
        row = {name: value for name, value in row.items() if type(value) in _NUMERIC}
    return row


def _merge(rows: dict[int, Row], row: Row) -> None:
    earlier = rows.setdefault(row["step"], row)
    if earlier is not row:
        earlier.update(row)


def _drop_beyond(rows: dict[int, Row], step: int) -> None:
    # Steps stand in growing order, so only the end has to go.
    while rows and next(reversed(rows)) > step:
        rows.popitem()


def _last_step(path: Path) -> int | None:
    """Step of the last whole line of metrics.jsonl, found from its end."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        position, rest = size, b""
        while position > 0:
            start = max(0, position - (1 << 16))
            file.seek(start)
            lines = (file.read(position - start) + rest).split(b"\n")
            rest, position = lines[0], start
            for line in reversed(lines[1:] if start else lines):
                if row := _parse_row(line):
                    return int(row["step"])
    return None
