"""Writing checkpoint files: whole or not at all, hashed on the way.

Lightning's own writer builds the file in memory and moves it in from the temporary folder, which doubles the
memory, takes about three times as long and leaves torn files when killed while moving between file systems.
Here the state streams into a hidden file beside its final name (`lab.files`).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from lab.files import writing_whole
from lab.runs.checkpoint_state import read_state
from lab.runs.disk_space import in_room

RENAMED = {"Journal": "MetricsLog", "Probes": "ReferenceTexts"}  # callbacks in checkpoints of the first version

TIMER = "Timer"  # a time limit is one of the process: with the spent time of the one before no resume would train


@dataclass(frozen=True)
class Written:
    """What was written: where, its sha256 in hex and its size in bytes."""

    path: Path
    sha256: str
    size: int


class LabCheckpointIO(TorchCheckpointIO):
    """How Lightning writes and reads checkpoints: `Trainer(plugins=[LabCheckpointIO()])`.

    With `background` training stands still only while the state is copied; a thread writes the copy while the
    next steps run. What a failed write raises is then raised by the next `save_checkpoint`, `check` or `finish`.
    From the first checkpoint on memory holds the state twice.

    `newest` holds hash and size of the file written last, so that it need not be read again. Without `compares` the
    losses of before are no measure of those to come, and what early stopping knows of them is left out in reading.
    """

    def __init__(self, background: bool = False, *, compares: bool = True) -> None:
        self.newest: Written | None = None
        self._compares = compares
        self.make_room: Callable[[], bool] = lambda: False
        """Deletes something where the disk is full; False where nothing is left that may go."""
        self._copier = Copier()
        self._writer = ThreadPoolExecutor(1, "checkpoint") if background else None
        self._pending: list[Future[Any]] = []

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write `checkpoint` to `path` as `write_state` does, once the one before is written."""
        if storage_options is not None:
            raise TypeError("LabCheckpointIO writes to the file system and knows no storage_options")
        self.finish()
        if self._writer is None:
            self._write(checkpoint, Path(path))
        else:
            self._pending = [self._writer.submit(self._write, self._copier.copy(checkpoint), Path(path))]

    def once_written(self, work: Callable[[Written], object]) -> None:
        """Do `work` when the checkpoint saved last lies in place: at once, or in the thread that writes it.

        Not done where the write fails. Its own errors are raised where those of the write would be.
        """

        def do(written: Written) -> None:
            in_room(lambda: work(written), self.make_room)

        if self._writer is None or not self._pending:
            assert self.newest is not None, "once_written() before save_checkpoint()"
            do(self.newest)
        else:
            writing = self._pending[0]
            self._pending.append(self._writer.submit(lambda: do(writing.result())))

    def check(self) -> None:
        """Raise what a write in the background has failed with by now; costs a microsecond, waits for nothing."""
        if any(future.done() and future.exception() for future in self._pending):
            self.finish()

    def finish(self) -> None:
        """Wait until everything is written. Raises what a write failed with."""
        pending, self._pending = self._pending, []
        wait(pending)
        for future in pending:
            future.result()

    def teardown(self) -> None:
        """Called by Lightning when the training is over, whatever ended it."""
        self.finish()

    def _write(self, state: dict[str, Any], path: Path) -> Written:
        self.newest = in_room(lambda: write_state(state, path), self.make_room)
        return self.newest

    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read `path` as `read_state` does: always to the CPU, always data only.

        Raises ValueError for `weights_only=False`, which would run whatever code the file brings.
        """
        if weights_only is False:
            raise ValueError("checkpoints are read with weights_only=True only: a file must not run code")
        self.finish()
        state = read_state(Path(path))
        left_out = (TIMER,) if self._compares else (TIMER, "EarlyStopping")
        states = {name: kept for name, kept in state.get("callbacks", {}).items() if not name.startswith(left_out)}
        state["callbacks"] = {RENAMED.get(name, name): kept for name, kept in states.items()}
        return state


class Copier:
    """Copies states into memory that it keeps for the next one: to get 128 MB anew takes longer than to fill it."""

    def __init__(self) -> None:
        self._spare: dict[tuple[torch.Size, torch.dtype], list[torch.Tensor]] = {}

    def copy(self, state: Any) -> Any:
        """`state` with every tensor copied to the CPU: it stays as it is now, until the next copy is made.

        A tensor that is met twice is copied once.
        """
        spare, self._spare = self._spare, {}
        copies: dict[int, torch.Tensor] = {}

        def copied(value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                if id(value) not in copies:
                    key = (value.shape, value.dtype)
                    kept = spare.get(key)
                    copy = kept.pop() if kept else torch.empty(value.shape, dtype=value.dtype)
                    copies[id(value)] = copy.copy_(value.detach())
                    self._spare.setdefault(key, []).append(copy)
                return copies[id(value)]
            if isinstance(value, dict):
                return {key: copied(part) for key, part in value.items()}
            if type(value) in (list, tuple):
                return type(value)(copied(part) for part in value)
            return value

        return copied(state)


def write_state(state: dict[str, Any], path: Path) -> Written:
    """`torch.save` the state under `path`, atomically and forced to the disk; returns its hash and size.

    Missing folders are made. Raises `lab.errors.WriteError` when the disk is full: an earlier file of
    that name is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing_whole(path) as file:
        hashing = _HashingWriter(file)
        try:
            torch.save(state, cast(BinaryIO, hashing))
        except RuntimeError as error:
            # What PyTorch makes of a full disk says nothing of a disk.
            raise hashing.error or error from error
    return Written(path, hashing.sha256.hexdigest(), hashing.size)


class _HashingWriter(io.RawIOBase):
    """Passes what is written on to `file`, hashing and counting it; `torch.save` writes strictly in order."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.size = 0
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            written = self._file.write(data)
        except OSError as error:
            self.error = error
            raise
        self.sha256.update(data)
        self.size += written
        return written
