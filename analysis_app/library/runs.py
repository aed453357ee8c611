"""The runs under one folder, and their models in memory.

A model is opened once, kept with a lock of its own, and dropped when newer ones need the memory. Names come from an
address, so only names are accepted, never paths.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from analysis_app.library.checkpoints import WeightsRow, published_weights, weights_of
from analysis_app.library.opened import Opened, Turn
from analysis_app.library.result_cache import ResultCache
from lab.loading import find_weights, list_weights, load
from lab.runs import Run, metrics, open_run
from lab.runs.checkpoints import CHECKPOINT_SUFFIX, SNAPSHOT_SUFFIX, CheckpointInfo, read_facts, step_path
from lab.runs.facts import as_number
from lab.runs.paths import NEWEST, check_name
from lab.runs.run import last_started, run_directories
from lab.runs.status import ACTIVE_STATES

DEFAULT_BUDGET_BYTES = 2 * 2**30
OPEN_CORPORA = 4
LOSSES = {
    "train_loss": metrics.TRAIN_LOSS,
    "val_loss": metrics.VAL_LOSS,
    "val_subset_loss": metrics.VAL_SUBSET_LOSS,
}


class NotFoundError(ValueError):
    """There is no such run or step; the message names those there are."""


class ConflictError(ValueError):
    """The run's state does not allow it; the message says which state it is in."""


@dataclass(frozen=True)
class RunSummary:
    """One line of the list of runs."""

    name: str
    kind: str  # "run", or "folder": a published model in the Hugging Face layout
    state: str
    step: int | None = None
    total_steps: int | None = None
    tokens: int | None = None
    losses: dict[str, float | None] = field(default_factory=dict)
    minutes: float | None = None  # of training, without pauses


@dataclass(frozen=True)
class Weighed:
    """The weights of a run at the last look, and the marks of their folders then."""

    mark: object
    weights: list[WeightsRow]
    steps: list[int]


@dataclass(frozen=True)
class _Seen:
    """A run at the last look, and the file's mark then."""

    mark: object
    started: float
    summary: RunSummary


class Library:
    """The runs under `root`; at most `budget_bytes` of weights are kept in memory, the last used ones."""

    def __init__(self, root: str | Path = "runs", budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self.root = Path(root)
        self.budget_bytes = budget_bytes
        self.results = ResultCache()
        self.corpora = ResultCache(most=OPEN_CORPORA)
        self._opened: OrderedDict[tuple[str, ...], Opened] = OrderedDict()
        self._loading: dict[tuple[str, ...], threading.Lock] = {}
        self._weighed: dict[Path, Weighed] = {}
        self._seen: dict[str, _Seen] = {}
        self._failed: dict[tuple[str, ...], str] = {}  # why weights could not be opened
        self._lock = threading.Lock()

    def runs(self) -> list[RunSummary]:
        """All runs, the one started last first, then the published models."""
        self._seen = {run.name: self._look(run) for run in run_directories(self.root)}
        found = sorted(self._seen.values(), key=lambda seen: (seen.started, seen.summary.name), reverse=True)
        folders = (RunSummary(path.name, "folder", "published") for path in self._folders())
        return [*(seen.summary for seen in found), *folders]

    def _look(self, run: Run) -> _Seen:
        """Of a run at rest only the time of a file is read: it changes no more by itself."""
        mark, seen = file_mark(run.status_path), self._seen.get(run.name)
        if seen is None or seen.mark != mark or seen.summary.state in ACTIVE_STATES:
            seen = _Seen(mark, *_summary(run))
        return seen

    def newest(self, runs: list[RunSummary]) -> str:
        """The run to begin with: the one started last, else the first there is."""
        return next((run.name for run in runs if run.state not in ("broken", "published")), runs[0].name)

    def run(self, name: str) -> Run | Path:
        """The run, or the published model's folder, of that name. Raises `NotFoundError`."""
        try:
            return open_run(name, self.root, names_only=True)
        except ValueError as error:
            if folder := next((path for path in self._folders() if path.name == name), None):
                return folder
            raise NotFoundError(str(error)) from None

    def trained(self, name: str, missing: str) -> Run:
        """The run of that name. Raises `ValueError` for a published model, saying what is `missing` there."""
        found = self.run(name)
        if isinstance(found, Path):
            raise ValueError(f"{name} is a published model: {missing}")
        return found

    def weights(self, name: str) -> list[WeightsRow]:
        """Every checkpoint and snapshot of a run by step, files that cannot be opened too; no weights are read."""
        run = self.run(name)
        return published_weights(run) if isinstance(run, Path) else self.weighed(run).weights

    def weighed(self, run: Run) -> Weighed:
        """The weights of a run, and the steps that can be opened: the same object until one of them changes."""
        mark = (file_mark(run.snapshots_dir), file_mark(run.checkpoints_dir), len(self._failed))
        known = self._weighed.get(run.path)
        if known is None or known.mark != mark:
            rows = weights_of(run, lambda info: self._failed.get(weights_key(run, info)))
            known = self._weighed[run.path] = Weighed(mark, rows, [info.step for info in list_weights(run)])
        return known

    def steps(self, name: str) -> list[int]:
        """The steps that can be opened, ascending; none for a published model."""
        run = self.run(name)
        return [] if isinstance(run, Path) else self.weighed(run).steps

    def open(self, name: str, step: int | None = None, *, keep: bool = True) -> Opened:
        """The model of a run at a step (None: the newest) from memory, or read.

        `keep=False`: not kept, so that scanning every snapshot of a run evicts no model in use.

        Raises `NotFoundError`, or `ValueError` for a file that cannot be opened.
        """
        run = self.run(name)
        if isinstance(run, Path):
            path, key = run, _folder_key(run)
        else:
            path, key = run.path, _key(run, step)
            step = int(key[1])
        with self._lock:
            if found := self._in_memory(key):
                return found
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:  # other weights can be opened meanwhile; for the same ones threads wait
            with self._lock:
                if found := self._in_memory(key):
                    return found
            opened = self._read(path, step, key)
            with self._lock:
                self._loading.pop(key, None)
                if keep:
                    self._opened[key] = opened
                    self._make_room()
            return opened

    def _in_memory(self, key: tuple[str, ...]) -> Opened | None:
        if key in self._opened:
            self._opened.move_to_end(key)
        return self._opened.get(key)

    def _read(self, path: Path, step: int | None, key: tuple[str, ...]) -> Opened:
        try:
            loaded = load(path.resolve(), step)
        except ValueError as error:
            self._failed[key] = str(error)
            raise
        size = sum(p.numel() * p.element_size() for p in loaded.model.parameters())
        return Opened(loaded, key, size, Turn(), self.results)

    def _make_room(self) -> None:
        while len(self._opened) > 1 and sum(o.size for o in self._opened.values()) > self.budget_bytes:
            self._opened.popitem(last=False)

    def _folders(self) -> list[Path]:
        if not self.root.is_dir():
            return []
        found = [path for path in self.root.iterdir() if (path / "config.json").is_file() and _is_name(path.name)]
        return sorted(path for path in found if not (path / "run.json").exists())


def _key(run: Run, step: int | None) -> tuple[str, ...]:
    # Of a step that is named, only its own facts are read, not those of a hundred others.
    for folder, suffix in ((run.snapshots_dir, SNAPSHOT_SUFFIX), (run.checkpoints_dir, CHECKPOINT_SUFFIX)):
        if step is not None and (info := read_facts(step_path(folder, step, suffix))) and info.step == step:
            return weights_key(run, info)
    try:
        info = find_weights(run, step)
    except ValueError as error:
        raise NotFoundError(str(error)) from None
    return weights_key(run, info)


def weights_key(run: Run, info: CheckpointInfo) -> tuple[str, ...]:
    """The key of `Opened` for these weights."""
    return str(run.path), str(info.step), info.sha256


def _folder_key(folder: Path) -> tuple[str, ...]:
    files = sorted(folder.glob("*.safetensors"))
    return str(folder), *(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)


def file_mark(path: os.PathLike[str]) -> tuple[int, int, int] | None:
    """What is another once the file or folder has changed; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _is_name(name: str) -> bool:
    try:
        return name != NEWEST and bool(check_name(name))
    except ValueError:
        return False


def _summary(run: Run) -> tuple[float, RunSummary]:
    """When it was started, and its line in the list."""
    status = run.status()
    losses = {name: status.losses.get(metric) for name, metric in LOSSES.items()}
    started = last_started(run, status)
    if not _is_name(run.name):  # seen, but never opened: its name could be anything
        return started, RunSummary(run.name, "run", "broken")
    seconds = as_number(status.details.get("training_seconds"))
    minutes = None if seconds is None else seconds / 60
    far = (status.step, status.total_steps, status.tokens)
    return started, RunSummary(run.name, "run", status.state, *far, losses, minutes)
