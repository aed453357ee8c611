"""The runs under one folder, and the models of theirs that are in memory.

A model is opened once, kept with a lock of its own, and given up when newer ones need the memory. Names come
from an address, so only names are taken, never paths.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis_app.library.cache import Results
from lab.data.tokenizers import Tokenizer
from lab.loading import Loaded, find_weights, list_weights, load
from lab.model import GPT
from lab.runs import Run, list_runs, open_run
from lab.runs.checkpoints import CHECKPOINT_SUFFIX, SNAPSHOT_SUFFIX, CheckpointInfo, list_facts, read_facts, step_path
from lab.runs.paths import NEWEST, check_name

DEFAULT_BUDGET_BYTES = 2 * 2**30
ALIASES = ("last", "best")  # links to the file of a step
LOSSES = {"train_loss": "train/loss", "val_loss": "val/loss"}


class NotFoundError(ValueError):
    """There is no such run or step; the message names those there are."""


class ConflictError(ValueError):
    """What was asked does not go with the state a run is in; the message says which state, and why not."""


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


@dataclass(frozen=True)
class WeightsRow:
    """One checkpoint or snapshot, from the facts beside it; `problem` says why it cannot be opened."""

    file: str
    step: int | None
    kind: str
    tokens: int | None = None
    train_loss: float | None = None
    val_loss: float | None = None
    probe_loss: float | None = None
    wall: float | None = None  # Unix seconds
    size: int = 0  # bytes
    sha256: str = ""
    aliases: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class Opened:
    """A model in memory. Hold `lock` while it computes: threads that share two cores only slow each other."""

    loaded: Loaded
    key: tuple[str, ...]  # which weights: the path, and for a run step and sha256
    size: int  # bytes of its weights
    lock: threading.RLock
    _memo: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> GPT:
        """The network, in evaluation mode."""
        return self.loaded.model

    @property
    def tokenizer(self) -> Tokenizer:
        """Its vocabulary."""
        return self.loaded.tokenizer

    def memo(self, name: str, make: Callable[[], Any]) -> Any:
        """What depends on these weights alone, computed once."""
        with self.lock:
            if name not in self._memo:
                self._memo[name] = make()
            return self._memo[name]


class Library:
    """The runs under `root`; at most `budget_bytes` of weights are kept in memory, the last used ones."""

    def __init__(self, root: str | Path = "runs", budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self.root = Path(root)
        self.budget_bytes = budget_bytes
        self.results = Results()
        self._opened: OrderedDict[tuple[str, ...], Opened] = OrderedDict()
        self._loading: dict[tuple[str, ...], threading.Lock] = {}
        self._failed: dict[tuple[str, ...], str] = {}  # why weights could not be opened
        self._lock = threading.Lock()

    def runs(self) -> list[RunSummary]:
        """All runs, the one started last first, then the published models."""
        found = [_summary(run) for run in reversed(list_runs(self.root))]
        return [*found, *(RunSummary(path.name, "folder", "published") for path in self._folders())]

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

    def weights(self, name: str) -> list[WeightsRow]:
        """Every checkpoint and snapshot of a run by step; no weights are read. A damaged or foreign file is a row too,
        with the reason, and so is one that turned out to be damaged when it was opened.
        """
        run = self.run(name)
        if isinstance(run, Path):
            size = sum(path.stat().st_size for path in run.glob("*.safetensors"))
            return [WeightsRow("model.safetensors", None, "published", size=size)]
        rows = []
        for folder, suffix in ((run.checkpoints_dir, CHECKPOINT_SUFFIX), (run.snapshots_dir, SNAPSHOT_SUFFIX)):
            infos = list_facts(folder, suffix)
            rows += [_row(info, self._failed.get(_key_of(run, info))) for info in infos]
            rows += _other_rows(folder, suffix, {info.path for info in infos})
        return sorted(rows, key=lambda row: (row.step is None, row.step or 0, row.file))

    def steps(self, name: str) -> list[int]:
        """The steps that can be opened, ascending; none for a published model."""
        run = self.run(name)
        return [] if isinstance(run, Path) else [info.step for info in list_weights(run)]

    def open(self, name: str, step: int | None = None, *, keep: bool = True) -> Opened:
        """The model of a run at a step (None: the newest) from memory, or read.

        `keep=False`: read for this once, so that going through a whole run drives nobody's model out of memory.

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
        with loading:  # others may open other weights meanwhile, and who wants the same ones waits for them
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
            return _open(path, step, key)
        except ValueError as error:
            self._failed[key] = str(error)
            raise

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
            return _key_of(run, info)
    try:
        info = find_weights(run, step)
    except ValueError as error:
        raise NotFoundError(str(error)) from None
    return _key_of(run, info)


def _key_of(run: Run, info: CheckpointInfo) -> tuple[str, ...]:
    return str(run.path), str(info.step), info.sha256


def _folder_key(folder: Path) -> tuple[str, ...]:
    files = sorted(folder.glob("*.safetensors"))
    return str(folder), *(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)


def _open(path: Path, step: int | None, key: tuple[str, ...]) -> Opened:
    loaded = load(path.resolve(), step)
    size = sum(p.numel() * p.element_size() for p in loaded.model.parameters())
    return Opened(loaded, key, size, threading.RLock())


def _is_name(name: str) -> bool:
    try:
        return name != NEWEST and bool(check_name(name))
    except ValueError:
        return False


def _summary(run: Run) -> RunSummary:
    status = run.status()
    losses = {name: status.losses.get(metric) for name, metric in LOSSES.items()}
    if not _is_name(run.name):  # seen, but never opened: its name could be anything
        return RunSummary(run.name, "run", "broken")
    return RunSummary(run.name, "run", status.state, status.step, status.total_steps, status.tokens, losses)


def _row(info: CheckpointInfo, problem: str | None) -> WeightsRow:
    return WeightsRow(
        file=f"{info.path.parent.name}/{info.path.name}",
        step=info.step,
        kind=info.kind,
        tokens=info.tokens,
        train_loss=info.losses.get(LOSSES["train_loss"]),
        val_loss=info.losses.get(LOSSES["val_loss"]),
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
