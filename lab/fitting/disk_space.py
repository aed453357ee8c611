"""Before the first step: whether what the run will write has room on the disk, and which setting makes it fit."""

from __future__ import annotations

from pathlib import Path

from lab.callbacks.activations import MOST_POSITIONS, REPEATED, TEXTS
from lab.callbacks.checkpoints import KEEP, PER_RUN
from lab.callbacks.metrics_log import MOST_LINES
from lab.errors import SettingsError
from lab.model import count_parameters
from lab.runs.cadence import Cadence
from lab.runs.disk_space import free_bytes
from lab.settings.parse import Settings
from lab.units import byte_count

STATES = 3  # numbers a checkpoint holds for each weight: itself and AdamW's two moments; Muon's are fewer
FRAME = 100_000  # bytes of a checkpoint beside its numbers
LINE = 250  # bytes of a line of metrics.jsonl, and about as many of a step in TensorBoard
PICTURES = 1_500_000  # bytes of a run's pictures in TensorBoard
SAMPLE = 2_000  # bytes


def planned_bytes(settings: Settings, steps: int, begin: int = 0) -> dict[str, int]:
    """What a run of `steps` will write after step `begin`, in bytes: setting that makes it less → how much."""
    config, checkpoints = settings.module.config, settings.group("checkpoint")
    weights = 4 * count_parameters(config)["total"]
    snapshots, samples = settings.group("snapshots").cadence.count(steps, begin), settings.group("samples")
    every = Cadence(checkpoints.every, PER_RUN).steps(steps)
    written = (steps - begin) // every + 1 if every else 1
    kept = min((checkpoints.keep or KEEP) + 2, written)  # with the best, and one that is not yet whole
    patterns = config.n_layers * config.n_heads * min(MOST_POSITIONS, config.context_length) ** 2 * (TEXTS + REPEATED)
    reference = settings.group("probes")
    bundles = snapshots if reference.every is None else reference.cadence.count(steps, begin)
    lines = min(steps - begin, MOST_LINES) * LINE
    return {
        "checkpoint.keep": kept * (STATES * weights + FRAME),
        "snapshots.every": snapshots * (weights + FRAME // 20),
        "probes.every": bundles * (patterns + FRAME // 5),
        "samples.every": samples.cadence.count(steps, begin) * SAMPLE,
        "tensorboard": lines + PICTURES if settings.values.tensorboard else 0,
        "log.every": lines,
    }


def room_notes(settings: Settings, steps: int, begin: int = 0) -> list[str]:
    """A line where less is free than planned. Raises `SettingsError` where not even what must be kept has room."""
    folder = Path(settings.values.run.root)
    planned, free = planned_bytes(settings, steps, begin), free_bytes(folder)
    each = STATES * 4 * count_parameters(settings.module.config)["total"] + FRAME
    least = each * (1 if settings.group("checkpoint").every == 0 else 2)  # the one before stays until one is whole
    if free < least:
        raise SettingsError(
            f"run.root is {folder}: {byte_count(free)} are free there, and checkpoints need {byte_count(least)}:"
            " choose another place with --run.root, or a smaller model"
        )
    total = sum(planned.values())
    if total <= free:
        return []
    largest = sorted(planned, key=lambda name: -planned[name])[:3]
    parts = ", ".join(f"{byte_count(planned[name])} by {name}" for name in largest)
    return [
        f"room: the run will write about {byte_count(total)} ({parts}), and {byte_count(free)} are free at {folder}:"
        f" {remedy(planned, total - free)}. What is only to look at gives way to checkpoints."
    ]


def remedy(planned: dict[str, int], missing: int) -> str:
    """The setting that makes it fit, the most dispensable first."""
    if planned["tensorboard"] >= missing:
        return "--tensorboard false makes it fit"
    if planned["snapshots.every"] + planned["probes.every"] >= missing:
        return "--snapshots.every 0 makes it fit, a larger number more of it"
    return "--snapshots.every 0 --checkpoint.keep 1 --tensorboard false need the least; else another --run.root"
