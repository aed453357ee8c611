"""Making a run directory, finding one, and reading what it holds."""

from __future__ import annotations

import datetime
import os
import secrets
import shlex
from pathlib import Path
from typing import Any

from lab.checks import did_you_mean
from lab.files import read_json, read_yaml
from lab.runs.checkpoints import CheckpointInfo, list_checkpoints
from lab.runs.events import Event, read_events
from lab.runs.lines import Row
from lab.runs.metrics_log import MetricsHistory, read_metrics
from lab.runs.paths import MAX_NAME_LENGTH, NEWEST, RunPaths, check_name
from lab.runs.reference_texts import BundleInfo, list_bundles
from lab.runs.samples import read_samples
from lab.runs.seams import Seams, read_seams
from lab.runs.snapshots import list_snapshots
from lab.runs.status import Status, read_status

# 24 × 24 names a day.
_ADJECTIVES = (
    *(
        "amber",
        "bold",
        "brisk",
        "calm",
        "clear",
        "coral",
        "crisp",
        "early",
        "fair",
        "gentle",
        "golden",
        "green",
    ),
    *(
        "hazel",
        "ivory",
        "jolly",
        "keen",
        "lucid",
        "merry",
        "noble",
        "quiet",
        "silver",
        "sunny",
        "swift",
        "warm",
    ),
)
_ANIMALS = (
    *(
        "badger",
        "bison",
        "crane",
        "deer",
        "dove",
        "eagle",
        "falcon",
        "finch",
        "fox",
        "gecko",
        "hare",
        "heron",
    ),
    *("ibex", "lark", "lynx", "marten", "newt", "otter", "owl", "puffin", "raven", "robin", "swan", "wren"),
)


class Run(RunPaths):
    """A run directory, to read: files as attributes (`.metrics_path`), their content by methods.

    Every method reads the files again, so a run that is being trained is always seen as it is now.
    """

    def status(self) -> Status:
        """The state as a reader concludes it (`stale` and `broken` included)."""
        return read_status(self)

    def metrics(self) -> MetricsHistory:
        """All metrics so far; to follow a live run keep a `MetricsReader` instead."""
        return read_metrics(self)

    def events(self) -> list[Event]:
        """What happened, oldest first."""
        return read_events(self)

    def samples(self) -> list[Row]:
        """Text the model wrote while it trained, oldest first."""
        return read_samples(self)

    def checkpoints(self) -> list[CheckpointInfo]:
        """The checkpoints to resume from, by step."""
        return list_checkpoints(self)

    def snapshots(self) -> list[CheckpointInfo]:
        """The weights that can be looked at, by step."""
        return list_snapshots(self)

    def reference_texts(self) -> list[BundleInfo]:
        """What the reference texts looked like inside the model, by step: `lab.runs.reference_texts.read_bundle`."""
        return list_bundles(self)

    def data(self) -> dict[str, Any] | None:
        """`data.json`: the corpus, its split and its baselines. Raises `ValueError` if it is damaged."""
        return read_json(self.data_path)

    def config(self) -> dict[str, Any] | None:
        """`config.yaml`: the whole configuration. Raises `ValueError` if it is damaged."""
        return read_yaml(self.config_path)

    def seams(self) -> Seams | None:
        """What held from which step on; None where nothing tells."""
        return read_seams(self)

    def predictions(self) -> dict[str, Any] | None:
        """`predictions.json`: what was predicted before the start. Raises `ValueError` if it is damaged."""
        return read_json(self.predictions_path)


def create_run(root: str | Path, name: str | None = None) -> Run:
    """Make a run directory under `root`; its name by default today's date and two short words.

    Raises `ValueError` for a name that cannot be used or is taken, or a root that cannot hold runs.
    """
    check_new_run(root, name)
    root = Path(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        run = _make_unique(root) if name is None else _make_named(root, name)
        for folder in (run.checkpoints_dir, run.snapshots_dir, run.control_dir):
            folder.mkdir()
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f"--run.root {str(root)!r} is not a folder: choose another") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"no run can be made in {str(root)!r}: {reason}; choose another --run.root") from None
    return run


def check_new_run(root: str | Path, name: str | None = None) -> None:
    """Raise the `ValueError` of `create_run` for what can be known without making anything."""
    if not str(root).strip():
        raise ValueError("--run.root is empty: name the folder of all runs, such as runs")
    if name is not None and os.path.lexists(Path(root) / check_name(name)):
        raise _exists(Path(root), name)
    if os.path.lexists(root) and not os.path.isdir(root):
        raise ValueError(f"--run.root {str(root)!r} is not a folder: choose another")


def _make_named(root: Path, name: str) -> Run:
    run = Run(root / name)
    try:
        run.path.mkdir()
    except FileExistsError:
        raise _exists(root, name) from None
    return run


def _exists(root: Path, name: str) -> ValueError:
    return ValueError(
        f"run {name!r} exists already in {str(root)!r}: choose another --run.name, or go on with it by --resume {name}"
    )


def new_name() -> str:
    """A name for a run without one: today's date and two short words."""
    # From the system's randomness: drawing from a seeded generator would change what the training sees.
    return f"{datetime.date.today().isoformat()}-{secrets.choice(_ADJECTIVES)}-{secrets.choice(_ANIMALS)}"


def _make_unique(root: Path) -> Run:
    while True:
        run = Run(root / new_name())
        try:
            run.path.mkdir()
        except FileExistsError:
            continue
        return run


def list_runs(root: str | Path = "runs") -> list[Run]:
    """The runs under `root`, oldest first (by when they were last started); damaged ones are among them."""
    return sorted(run_directories(root), key=lambda run: (last_started(run), run.name))


def run_directories(root: str | Path = "runs") -> list[Run]:
    """The runs under `root` in no order, which takes no reading of files."""
    root = Path(root)
    if not root.is_dir():
        return []
    found = [Run(path) for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return [run for run in found if _looks_like_run(run)]


def open_run(name_or_path: str | Path, root: str | Path = "runs", *, names_only: bool = False) -> Run:
    """The run of that name under `root`, or at that path; `last` is the one started last.

    `names_only` takes no paths: for names that come from elsewhere, like a web address.

    Raises `ValueError` naming the runs there are, the closest first.
    """
    given = str(name_or_path)
    if given == NEWEST:
        runs = list_runs(root)
        if not runs:
            raise ValueError(f"there is no run in {str(root)!r} yet: start one with `python -m lab fit`")
        # One that was made but never started, or whose run.json is damaged, only if there is no other.
        return next((run for run in reversed(runs) if run.status().started), runs[-1])
    try:
        run = Run(Path(root) / check_name(given))
    except ValueError:
        run = None
    if run and _looks_like_run(run):
        return run
    if not names_only and given and _looks_like_run(Run(Path(given))):
        return Run(Path(given).resolve())
    if not names_only and (which := _published(given, root)):
        raise ValueError(
            f"{which} is a published model, no run of this lab: it has no batches, curve or optimizer to go on from;"
            f" `python -m lab generate {shlex.quote(str(which))}` and the page open it"
        )
    raise ValueError(_no_such_run(given, root))


def _published(given: str, root: str | Path) -> Path | None:
    """The folder of that path or name, where it holds a published model."""
    for folder in (Path(given), Path(root) / given):
        try:
            if given and (folder / "config.json").is_file():
                return folder
        except (OSError, ValueError):  # no path at all
            continue
    return None


def _no_such_run(given: str, root: str | Path) -> str:
    names = [run.name for run in reversed(list_runs(root))]
    if not names:
        return f"no run {given!r}: there is no run in {str(root)!r} yet; start one with `python -m lab fit`"
    given = given[:MAX_NAME_LENGTH]
    hint = did_you_mean(given, names)
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f"no run {given!r} in {str(root)!r}{f', {hint}' if hint else '.'} There are: {shown}"


def _looks_like_run(run: RunPaths) -> bool:
    try:
        return run.status_path.exists() or run.metrics_path.exists() or run.checkpoints_dir.is_dir()
    except (OSError, ValueError):  # no path at all: too long, or with a zero byte in it
        return False


def last_started(run: Run, status: Status | None = None) -> float:
    """When its last process started, Unix seconds; else when the directory changed, 0 where neither can be told."""
    try:
        return (status or run.status()).started or run.path.stat().st_mtime
    except OSError:
        return 0.0
