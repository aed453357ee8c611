"""Writing and reading checkpoint files: whole or not at all, hashed on the way, and nothing in them but data.

Lightning's own writer builds the file in memory and moves it in from the temporary folder, which doubles the
memory, takes about three times as long and leaves torn files when killed while moving between file systems.
Here the state streams into a hidden file beside its final name (`lab.runs.atomic`).
"""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from lab.runs.atomic import writing_whole

ZIP_START = b"PK\x03\x04"


@dataclass(frozen=True)
class Written:
    """What was written: where, its sha256 in hex and its size in bytes."""

    path: Path
    sha256: str
    size: int


class LabCheckpointIO(TorchCheckpointIO):
    """How Lightning writes and reads checkpoints: `Trainer(plugins=[LabCheckpointIO()])`.

    `newest` tells hash and size of the file written last, so that nobody reads it again to learn them.
    """

    def __init__(self) -> None:
        self.newest: Written | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write `checkpoint` to `path` as `write_state` does."""
        if storage_options is not None:
            raise TypeError("LabCheckpointIO writes to the file system and knows no storage_options")
        self.newest = write_state(checkpoint, Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read `path` as `read_state` does: always to the CPU, always data only.

        Raises ValueError for `weights_only=False`, which would run whatever code the file brings.
        """
        if weights_only is False:
            raise ValueError("checkpoints are read with weights_only=True only: a file must not run code")
        return read_state(Path(path))


def write_state(state: dict[str, Any], path: Path) -> Written:
    """`torch.save` the state under `path`, atomically and forced to the disk; returns its hash and size.

    Missing folders are made. Raises `lab.runs.atomic.WriteError` when the disk is full: an earlier file of
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


def read_state(path: Path) -> dict[str, Any]:
    """Load a checkpoint's state to the CPU, as data only (`weights_only=True`: the file cannot run code).

    Raises ValueError in one line where there is no such file, it is torn or damaged, holds more than data, or
    is something else than a training checkpoint.
    """
    _refuse_other_files(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors and plain values, so opening it could run code: it was not"
            " written by this lab and is not read"
        ) from error
    except (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise ValueError(f"{path} is damaged: take an earlier checkpoint") from error
    if not isinstance(state, dict) or "state_dict" not in state:
        raise ValueError(f"{path} is a PyTorch file, but no training checkpoint: it holds no state_dict")
    return state


def _refuse_other_files(path: Path) -> None:
    """PyTorch's files are zip archives, whose directory of contents comes last: a torn file has none."""
    try:
        with open(path, "rb") as file:
            start = file.read(len(ZIP_START))
    except FileNotFoundError:
        raise ValueError(f"there is no checkpoint {path}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read as a checkpoint: {error.strerror}") from error
    if start != ZIP_START:
        raise ValueError(f"{path} is {'no PyTorch checkpoint' if start else 'empty'}")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is torn: its end is missing. Take an earlier checkpoint")


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
