"""Snapshots to look at: weights only, as safetensors, on a schedule that is dense at the start.

A model learns token frequencies within tens of steps and longer patterns over thousands, so snapshots are spaced
by powers of two at first and evenly later. The files are plain safetensors: any tool reads them, none runs
code from them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.files import writing_whole
from lab.runs.checkpoints import (
    SNAPSHOT_SUFFIX,
    CheckpointInfo,
    delete_beyond,
    list_facts,
    step_path,
    write_facts,
)
from lab.runs.paths import RunPaths

if TYPE_CHECKING:
    from torch import Tensor


def write_snapshot(run: RunPaths, step: int, state_dict: Mapping[str, Tensor], **facts: Any) -> CheckpointInfo:
    """Write `snapshots/step-….safetensors` and its facts (`tokens`, `losses`, `model_config`, `probe_loss`).

    Tensors that share their memory (a tied head) are stored once; `read_snapshot` gives both names back.
    Raises `WriteError` when the disk is full.
    """
    from safetensors.torch import save

    first_name: dict[tuple[Any, ...], str] = {}
    shared: dict[str, str] = {}
    tensors: dict[str, Tensor] = {}
    for name, tensor in state_dict.items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        earlier = first_name.setdefault(place, name) if tensor.numel() else name
        if earlier == name:
            tensors[name] = tensor.detach().to("cpu", copy=True).contiguous()
        else:
            shared[name] = earlier
    path = step_path(run.snapshots_dir, step, SNAPSHOT_SUFFIX)
    with writing_whole(path) as file:
        file.write(save(tensors, {"format": "pt", "step": str(step), "shared": json.dumps(shared)}))
    return write_facts(path, step, **{"kind": "snapshot", **facts})


def read_snapshot(path: Path) -> dict[str, Tensor]:
    """The tensors of a snapshot on the CPU, by name. Raises `ValueError` for a file that is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iterator)
            shared = json.loads((file.metadata() or {}).get("shared", "{}"))
        return tensors | {name: tensors[original] for name, original in shared.items()}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no whole safetensors file: {error}") from None


def list_snapshots(run: RunPaths) -> list[CheckpointInfo]:
    """The snapshots of a run by step; reads their .json files only."""
    return list_facts(run.snapshots_dir, SNAPSHOT_SUFFIX)


def delete_snapshots_beyond(run: RunPaths, step: int) -> list[int]:
    """Delete the snapshots of steps > `step`, for a training that goes back to it; the steps gone."""
    return delete_beyond(run.snapshots_dir, SNAPSHOT_SUFFIX, step)
