"""Reading the state in a training checkpoint: tensors and plain values, never code."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

ZIP_START = b"PK\x03\x04"  # PyTorch's files are zip archives


def read_state(path: Path, *, mmap: bool = False) -> dict[str, Any]:
    """The state in a checkpoint, on the CPU, as data only (`weights_only=True`: the file cannot run code).

    With `mmap` tensors are read from the disk when they are used, so what is not used costs nothing. Raises
    ValueError in one line where there is no such file, it is torn or damaged, holds more than data, or is something
    else than a training checkpoint.
    """
    import torch

    _refuse_other_files(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds objects beside tensors and plain values, so opening it could run code: it was not"
            " written by this lab and is not read"
        ) from error
    except (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise ValueError(f"{path} is damaged: take an earlier checkpoint") from error
    if not isinstance(state, dict) or not isinstance(state.get("state_dict"), dict):
        raise ValueError(f"{path} is a PyTorch file, but no training checkpoint: it holds no state_dict")
    return state


def _refuse_other_files(path: Path) -> None:
    """A zip archive's directory of contents comes last, so a torn file has none."""
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
