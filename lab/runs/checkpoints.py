"""Checkpoints to resume from: `step-00001000.ckpt`, its facts beside it as .json, `last` and `best` as links.

The content of a checkpoint is the trainer's; this module knows the file and its facts. A checkpoint counts once its
facts lie beside it, and they are written last: after a crash, too, what is listed is whole.
`last.ckpt` and `best.ckpt` are hard links to the files of their steps and cost no disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import orjson

from lab.files import link_whole, sync_folder, write_json
from lab.hashing import file_sha256
from lab.runs.lines import now
from lab.runs.paths import RunPaths

FACTS_FORMAT = 1
CHECKPOINT_SUFFIX = ".ckpt"
SNAPSHOT_SUFFIX = ".safetensors"

Kind = Literal["regular", "milestone", "interrupted", "final", "snapshot"]

_STEP_NAME = re.compile(r"step-(\d{8,18})\.json")


@dataclass(frozen=True)
class CheckpointInfo:
    """The facts of one checkpoint or snapshot, from its .json; the weights themselves are not read."""

    path: Path
    step: int
    sha256: str
    size: int  # bytes
    tokens: int | None = None
    sequences: int | None = None  # number of the next one that training reads
    losses: dict[str, float | None] = field(default_factory=dict)  # metric name -> nats per token
    model_config: dict[str, Any] = field(default_factory=dict)
    probe_loss: float | None = None  # on the fixed probe, in fp32: loaded weights can be checked by it
    kind: str = "regular"
    wall: float | None = None  # Unix seconds (UTC)
    aliases: tuple[str, ...] = ()  # of "last", "best"
    noted: dict[str, Any] = field(default_factory=dict, repr=False)  # of run.json and seams.json, for one that is lost

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        facts = asdict(self) | {"path": str(self.path)}
        del facts["noted"]
        return facts


def step_path(folder: Path, step: int, suffix: str = CHECKPOINT_SUFFIX) -> Path:
    """`folder/step-00001000.ckpt`: eight digits, so that names sort by step."""
    return folder / f"step-{step:08d}{suffix}"


def record_checkpoint(run: RunPaths, step: int, *, best: bool = False, **facts: Any) -> CheckpointInfo:
    """Write the facts of a checkpoint file that lies in place, and let `last` (and `best`) name it.

    `facts`: `tokens`, `sequences`, `losses`, `model_config`, …, as in `CheckpointInfo`. Checkpoints of later steps
    are then deleted: there are some only if training has gone back before them (they were damaged, say), and as
    the newest by step they would be resumed from, and the new ones be superseded by them.
    """
    info = write_facts(step_path(run.checkpoints_dir, step), step, **facts)
    aliases = ("last", "best") if best else ("last",)
    for alias in aliases:
        link_whole(info.path, run.checkpoints_dir / f"{alias}{CHECKPOINT_SUFFIX}")
        link_whole(info.path.with_suffix(".json"), run.checkpoints_dir / f"{alias}.json")
    delete_beyond(run.checkpoints_dir, CHECKPOINT_SUFFIX, step)
    return info


def list_checkpoints(run: RunPaths) -> list[CheckpointInfo]:
    """The checkpoints whose facts and file are there, by step; reads the .json files only.

    `check_file` tells whether a file still holds what was written; it reads all of it.
    """
    return list_facts(run.checkpoints_dir, CHECKPOINT_SUFFIX)


def find_checkpoint(run: RunPaths, which: int | str = "last") -> CheckpointInfo:
    """The checkpoint of a step, or the `last` or `best` one. Raises `ValueError` naming those there are."""
    found = list_checkpoints(run)
    if not found:
        raise ValueError(f"run {run.name!r} has no checkpoint yet")
    if which == "last":
        return found[-1]
    for info in found:
        if info.step == which or which in info.aliases:
            return info
    steps = ", ".join(str(info.step) for info in found)
    raise ValueError(f"run {run.name!r} has no checkpoint {which!r}; there are those of the steps {steps}")


def last_intact(run: RunPaths) -> tuple[CheckpointInfo | None, list[str]]:
    """The newest checkpoint whose content is what was written, and why each newer one was passed over."""
    problems: list[str] = []
    for info in reversed(list_checkpoints(run)):
        problem = check_file(info)
        if problem is None:
            return info, problems
        problems.append(problem)
    return None, problems


def check_file(info: CheckpointInfo) -> str | None:
    """None if the file holds what was written, else what is wrong with it; reads it whole (about 1 GB/s)."""
    try:
        size = info.path.stat().st_size
        if size != info.size:
            return f"{info.path} is torn: {size} bytes instead of {info.size}"
        if file_sha256(info.path) != info.sha256:
            return f"{info.path} is damaged: its sha256 differs from the one recorded when it was written"
    except OSError as error:
        return f"{info.path} cannot be read: {error.strerror}"
    return None


def which_to_delete(
    steps: Iterable[int], *, keep_last: int = 1, milestones: Iterable[int] = (), best: int | None = None
) -> list[int]:
    """Which checkpoints may go: all but the `keep_last` newest, the milestones and the best one."""
    if keep_last < 1:
        raise ValueError(f"keep_last is {keep_last}: at least 1 checkpoint must stay to resume from")
    ordered = sorted(set(steps))
    kept = {*ordered[-keep_last:], *milestones, best}
    return [step for step in ordered if step not in kept]


def delete_superseded(run: RunPaths, *, keep_last: int = 1) -> list[int]:
    """Apply `which_to_delete` to a run and return the steps gone.

    Milestones are the checkpoints of that kind, the best is the one that `best.ckpt` names.
    """
    found = list_checkpoints(run)
    milestones = [info.step for info in found if info.kind == "milestone"]
    best = next((info.step for info in found if "best" in info.aliases), None)
    gone = which_to_delete((info.step for info in found), keep_last=keep_last, milestones=milestones, best=best)
    for step in gone:
        delete_file(step_path(run.checkpoints_dir, step))
    return gone


def keep_checkpoint(run: RunPaths, step: int) -> None:
    """Make the regular checkpoint of a step a milestone, which is never superseded. Raises `WriteError`."""
    info = next((info for info in list_checkpoints(run) if info.step == step), None)
    if info is None or info.kind != "regular":
        return
    path = info.path.with_suffix(".json")
    write_json(path, orjson.loads(path.read_bytes()) | {"kind": "milestone"})
    for alias in info.aliases:
        link_whole(path, run.checkpoints_dir / f"{alias}.json")


def note_losses(run: RunPaths, step: int, losses: Mapping[str, float]) -> None:
    """Add to the facts of a checkpoint what was measured of its weights later. Raises `WriteError`."""
    info = next((info for info in list_checkpoints(run) if info.step == step), None)
    if info is None:
        return
    path = info.path.with_suffix(".json")
    write_json(path, orjson.loads(path.read_bytes()) | {"losses": {**info.losses, **losses}})
    for alias in info.aliases:
        link_whole(path, run.checkpoints_dir / f"{alias}.json")


def write_facts(
    path: Path,
    step: int,
    *,
    tokens: int | None = None,
    sequences: int | None = None,
    losses: Mapping[str, float | None] | None = None,
    model_config: Mapping[str, Any] | None = None,
    probe_loss: float | None = None,
    kind: Kind = "regular",
    sha256: str | None = None,
    noted: Mapping[str, Any] | None = None,
) -> CheckpointInfo:
    """Write the .json beside the file `path`: what is given, its size and its sha256 (computed unless known)."""
    facts = {
        "format": FACTS_FORMAT,
        "step": step,
        "tokens": tokens,
        "sequences": sequences,
        "losses": dict(losses or {}),
        "model_config": dict(model_config or {}),
        "probe_loss": probe_loss,
        "kind": kind,
        "wall": now(),
        "size": path.stat().st_size,
        "sha256": sha256 or file_sha256(path),
    } | ({"noted": dict(noted)} if noted else {})
    write_json(path.with_suffix(".json"), facts)
    info = read_facts(path)
    assert info is not None
    return info


def read_facts(path: Path) -> CheckpointInfo | None:
    """The facts of the weights file `path`; None if they are missing or damaged, or do not fit the file."""
    try:
        facts = orjson.loads(path.with_suffix(".json").read_bytes())
        known = {name: facts[name] for name in CheckpointInfo.__dataclass_fields__ if name in facts}
        info = CheckpointInfo(**known | {"path": path, "aliases": ()})
        usable = (
            facts["format"] == FACTS_FORMAT
            and type(info.step) is int
            and isinstance(info.sha256, str)
            and info.size == path.stat().st_size
            and isinstance(info.losses, dict)
            and isinstance(info.model_config, dict)
            and isinstance(info.kind, str)
            and isinstance(info.noted, dict)
            and isinstance(info.tokens, int | None)
            and isinstance(info.sequences, int | None)
            and isinstance(info.probe_loss, int | float | None)
            and isinstance(info.wall, int | float | None)
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return info if usable else None


def list_facts(folder: Path, suffix: str) -> list[CheckpointInfo]:
    """The usable files `step-*` of that suffix in a folder, by step, each with the aliases that name it."""
    if not folder.is_dir():
        return []
    aliases: dict[tuple[int, str], list[str]] = {}
    for alias in ("last", "best"):
        if info := read_facts(folder / f"{alias}{suffix}"):
            aliases.setdefault((info.step, info.sha256), []).append(alias)
    found = []
    for name in sorted(path.name for path in folder.iterdir()):
        match = _STEP_NAME.fullmatch(name)
        info = read_facts((folder / name).with_suffix(suffix)) if match else None
        if match and info and info.step == int(match[1]):
            found.append(replace(info, aliases=tuple(aliases.get((info.step, info.sha256), ()))))
    return sorted(found, key=lambda info: info.step)


def unusable_files(folder: Path, suffix: str) -> list[Path]:
    """Files `step-*` without usable facts: left by a crash, or damaged."""
    usable = {info.path for info in list_facts(folder, suffix)}
    return sorted(path for path in folder.glob(f"step-*{suffix}") if path not in usable)


def delete_beyond(folder: Path, suffix: str, step: int) -> list[int]:
    """Delete what a folder holds of steps > `step`, for a training that goes back; the steps gone."""
    gone = [info for info in list_facts(folder, suffix) if info.step > step]
    for info in gone:
        for alias in info.aliases:
            delete_file(folder / f"{alias}{suffix}")
        delete_file(info.path)
    return [info.step for info in gone]


def delete_file(path: Path) -> None:
    """Delete a file of weights and its facts."""
    # The facts first: a file without facts does not count, facts without a file would name weights that are gone.
    path.with_suffix(".json").unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
