"""`metrics.jsonl`: the writer a trainer holds, the reader that follows it, and all of it in memory as a
table.

Training can go back: killed at step 900 and resumed from the checkpoint of step 500, it writes steps 501 to
900 once more. The writer then puts a line in between that says so, `{"step": 500, "rewound_from": 900, …}`,
and a reader drops what it holds beyond step 500. A line whose step is smaller than that of the line before it
says the same.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from lab.runs.lines import Cursor, LineReader, LineWriter, Row, now
from lab.runs.paths import RunPaths

RESERVED = frozenset({"step", "tokens", "time", "wall", "rewound_from"})

_NUMERIC = frozenset({int, float, type(None)})


class MetricsWriter(LineWriter):
    """Appends lines to metrics.jsonl, for a process that trains from `start_step` on.

    When the file already reaches beyond `start_step`, the training has gone back: a line that says so is
    appended at once and `rewound_from` (else None) names the step the file had reached.
    """

    def __init__(self, run: RunPaths, *, start_step: int = 0) -> None:
        super().__init__(run.metrics_path)
        self._last_step = start_step
        self.rewound_from: int | None = None
        reached = _last_step(run.metrics_path)
        if reached is not None and reached > start_step:
            self.rewound_from = reached
            self._append({"step": start_step, "rewound_from": reached, "wall": now()})

    def write(self, step: int, tokens: int, time: float, values: Mapping[str, Any]) -> None:
        """Append one line.

        `step`: optimizer steps done; `tokens`: seen so far; `time`: training seconds so far, without pauses.
        Several lines of one step are one row to a reader. Values are numbers (tensors and numpy scalars too;
        on a GPU that waits for the device); NaN and infinity are written as `null`. Raises `ValueError` for a
        step before the last one or a name that is reserved, `WriteError` when the disk is full.
        """
        if step < self._last_step:
            raise ValueError(f"metrics of step {step} after those of step {self._last_step}: steps only grow")
        if clash := RESERVED & values.keys():
            raise ValueError(f"metrics may not be called {', '.join(sorted(clash))}: every line has these already")
        line = {"step": step, "tokens": tokens, "time": round(time, 3), "wall": now()}
        self._append(line | {name: _number(name, value) for name, value in values.items()})
        self._last_step = step


@dataclass(frozen=True)
class MetricsDelta:
    """What is new in metrics.jsonl.

    To apply it: forget everything if `reset`; drop rows of steps > `rewind` if that is not None; then add
    `rows`, merging those of a step already held (of two values of one name the later counts).
    """

    rows: list[Row] = field(default_factory=list)  # of growing step: step, tokens, time, wall and the values
    rewind: int | None = None
    reset: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"rows": self.rows, "rewind": self.rewind, "reset": self.reset}


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

    @property
    def behind(self) -> bool:
        """Whether the last poll left something."""
        return self._lines.behind

    def poll(self, most: int | None = None) -> MetricsDelta:
        """Rows completed since the last call, of about `most` bytes; 100 000 lines take a third of a second."""
        lines, reset = self._lines.read(most)
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


def _number(name: str, value: Any) -> float | int | None:
    if value is None or type(value) is int:
        return value
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):  # the last: a tensor of several elements
        raise ValueError(f"metric {name!r} must be a number, not {value!r}") from None
    return number if math.isfinite(number) else None


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
