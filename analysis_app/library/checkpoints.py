"""The checkpoints and snapshots of a run as rows, from the facts beside them; no weights are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.runs import Run, metrics
from lab.runs.checkpoints import CHECKPOINT_SUFFIX, SNAPSHOT_SUFFIX, CheckpointInfo, list_facts

ALIASES = ("last", "best")  # links to the file of a step


@dataclass(frozen=True)
class WeightsRow:
    """One checkpoint or snapshot; `problem` says why it cannot be opened."""

    file: str
    step: int | None
    kind: str
    tokens: int | None = None
    train_loss: float | None = None
    val_loss: float | None = None  # on the whole validation split
    val_subset_loss: float | None = None  # on the subset that is read while a run trains
    probe_loss: float | None = None
    wall: float | None = None  # Unix seconds
    size: int = 0  # bytes
    sha256: str = ""
    aliases: tuple[str, ...] = ()
    problem: str | None = None


def weights_of(run: Run, problem_of: Callable[[CheckpointInfo], str | None]) -> list[WeightsRow]:
    """Every checkpoint and snapshot by step; a damaged or foreign file is a row too, with the reason.

    `problem_of` gives the reason why whole-looking weights could not be opened, None where they could.
    """
    rows = []
    for folder, suffix in ((run.checkpoints_dir, CHECKPOINT_SUFFIX), (run.snapshots_dir, SNAPSHOT_SUFFIX)):
        infos = list_facts(folder, suffix)
        rows += [_row(info, problem_of(info)) for info in infos]
        rows += _other_rows(folder, suffix, {info.path for info in infos})
    return sorted(rows, key=lambda row: (row.step is None, row.step or 0, row.file))


def published_weights(folder: Path) -> list[WeightsRow]:
    """The one row of a published model."""
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return [WeightsRow("model.safetensors", None, "published", size=size)]


def _row(info: CheckpointInfo, problem: str | None) -> WeightsRow:
    return WeightsRow(
        file=f"{info.path.parent.name}/{info.path.name}",
        step=info.step,
        kind=info.kind,
        tokens=info.tokens,
        train_loss=info.losses.get(metrics.TRAIN_LOSS),
        val_loss=info.losses.get(metrics.VAL_LOSS),
        val_subset_loss=info.losses.get(metrics.VAL_SUBSET_LOSS),
        probe_loss=info.probe_loss,
        wall=info.wall,
        size=info.size,
        sha256=info.sha256,
        aliases=info.aliases,
        problem=problem,
    )


def _other_rows(folder: Path, suffix: str, usable: set[Path]) -> Iterator[WeightsRow]:
    """What lies among the weights and cannot be opened, with the reason."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        facts = path.with_suffix(".json")
        hidden = path.name.startswith(".") or path.stem in ALIASES
        if hidden or path in usable or (path == facts and path.with_suffix(suffix).exists()):
            continue
        digits = path.stem.removeprefix("step-")
        step = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= 18 else None
        if step is None or path.suffix not in (suffix, ".json") or not path.is_file():
            problem = "foreign: the lab did not write it"
        elif path == facts:
            problem = f"{path.with_suffix(suffix).name}, whose facts these are, is missing"
        else:
            problem = (
                f"{facts.name} does not fit the file: torn, or changed"
                if facts.exists()
                else f"{facts.name} is missing"
            )
        kind = "snapshot" if suffix == SNAPSHOT_SUFFIX else "checkpoint"
        yield WeightsRow(f"{folder.name}/{path.name}", step, kind, size=path.lstat().st_size, problem=problem)
