"""Files that only grow by lines (`metrics.jsonl`, `events.jsonl`, `samples.jsonl`): writers, readers with a
cursor.

A reader keeps a byte position and is asked again and again (`poll`); it returns what is new. It handles all that a
crash does to the files: a last line still half-written is left for later, a damaged one is skipped and counted, a
file that was truncated or replaced is read again from its start after a `reset`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson

from lab.files import explain_write_error, plain

_TAIL_BYTES = 64  # enough of the text before the cursor to notice that it is not the file that was read
_JSON_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY

Row = dict[str, Any]


def now() -> float:
    """Unix seconds (UTC), to the millisecond."""
    return round(time.time(), 3)


class LineAppender:
    """A file that only grows, by whole lines, each in one unbuffered `write`.

    Nothing waits in this process, so kill -9 loses no line that `append` returned from. Opening truncates
    nothing: a last line torn by a crash is ended, so that the next line stands alone, and readers skip
    it as invalid.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise explain_write_error(error, path, "nothing was changed") from error
        size = os.fstat(self._descriptor).st_size
        self._torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"

    def append(self, line: bytes) -> None:
        """Append `line` (its newline is added). Raises `WriteError`; the next append ends what it tore."""
        data = (b"\n" if self._torn else b"") + line + b"\n"
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            if written:
                self._torn = data[written - 1 : written] != b"\n"
            raise explain_write_error(error, self.path, "the lines before are intact") from error
        self._torn = False

    def force(self) -> None:
        """Wait until all that was appended would outlive a power cut."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class LineWriter:
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

    def __exit__(self, *_: object) -> None:
        self.close()


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
        if start.offset < len(start.tail) // 2:
            raise ValueError(f"a cursor at byte {start.offset} cannot have {len(start.tail) // 2} bytes before it")
        self._offset, self._inode, self._tail = start.offset, start.inode, bytes.fromhex(start.tail)
        self.behind = False
        """Whether the last `read` left something, because it was told to stop before the end."""

    def cursor(self, last_step: int = -1) -> Cursor:
        """Where reading goes on."""
        return Cursor(self._offset, self._inode, self._tail.hex(), last_step)

    def read(self, most: int | None = None) -> tuple[list[bytes], bool]:
        """`(lines, reset)`: lines completed since the last call; `reset` when they start the file anew.

        `most`: about how many bytes to take in, for a reader that must not hold a long file at once.
        """
        self.behind = False
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            vanished = self._offset > 0
            self._offset, self._inode, self._tail = 0, 0, b""
            return [], vanished
        try:
            file = open(descriptor, "rb")  # noqa: SIM115
        except OSError as error:  # a folder: named by its path, not by the number of the descriptor
            os.close(descriptor)
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        with file:
            reset = self._offset > 0 and not self._is_same_file(file)
            if reset:
                self._offset, self._tail = 0, b""
            file.seek(self._offset)
            data = file.read(most)
            while most and data and b"\n" not in data and (rest := file.read(most)):
                data += rest  # a line longer than that
            found = os.fstat(descriptor)
            self._inode, self.behind = found.st_ino, most is not None and found.st_size > self._offset + len(data)
        end = data.rfind(b"\n") + 1
        self._offset += end
        self._tail = (self._tail + data[max(0, end - _TAIL_BYTES) : end])[-_TAIL_BYTES:]
        return data[:end].split(b"\n")[:-1], reset

    def _is_same_file(self, file: BinaryIO) -> bool:
        found = os.fstat(file.fileno())
        if found.st_ino != self._inode or found.st_size < self._offset:
            return False
        # Truncated and grown again between two looks: size and inode fit, the text before the cursor does
        # not.
        file.seek(self._offset - len(self._tail))
        return file.read(len(self._tail)) == self._tail


class Follower:
    """Follows a file of JSON objects, one a line. `skipped`: lines met that were no whole one."""

    def __init__(self, path: Path, cursor: Cursor | None) -> None:
        self._lines = LineReader(path, cursor)
        self.skipped = 0

    @property
    def cursor(self) -> Cursor:
        """Where to go on."""
        return self._lines.cursor()

    @property
    def behind(self) -> bool:
        """Whether the last poll left something."""
        return self._lines.behind

    def _new(self, most: int | None, whole: Callable[[Row], bool]) -> tuple[list[Row], bool]:
        lines, reset = self._lines.read(most)
        found = [line for line in _parse_objects(lines) if whole(line)]
        self.skipped = (0 if reset else self.skipped) + sum(map(bool, lines)) - len(found)
        return found, reset


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
