"""Checkpoints for tests that need a file with its facts and no training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

from lab.files import writing_whole
from lab.runs.checkpoints import CheckpointInfo, record_checkpoint, step_path
from lab.runs.paths import RunPaths


def write_checkpoint(run: RunPaths, step: int, save: Callable[[BinaryIO], object], **facts: Any) -> CheckpointInfo:
    """Write the checkpoint of `step`: `save(file)` fills an open binary file, as `torch.save` does."""
    with writing_whole(step_path(run.checkpoints_dir, step)) as file:
        save(file)
    return record_checkpoint(run, step, **facts)
