"""Where everything of a run lies: one attribute a file, so that no other place spells a file name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MAX_NAME_LENGTH = 100
NEWEST = "last"  # the name that stands for the newest run under the root

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_name(name: str) -> str:
    """Return `name` if it can name a run; a run name is a folder's name and part of web addresses.

    Raises `ValueError` for names that are empty, hidden, too long, reserved, or that could leave the runs
    folder.
    """
    if not name:
        problem = "it is empty"
    elif name == NEWEST:
        problem = f"{NEWEST!r} stands for the newest run"
    elif len(name) > MAX_NAME_LENGTH:
        problem = f"it has {len(name)} characters, {MAX_NAME_LENGTH} are allowed"
    elif "/" in name or "\\" in name or set(name) == {"."}:
        problem = "a run lives directly in the runs folder; choose another folder with --run.root"
    elif name.startswith("."):
        problem = "names that start with a dot are hidden files"
    elif not _NAME.fullmatch(name):
        problem = "only the letters a-z A-Z, digits, '.', '_' and '-' are allowed, the first a letter or digit"
    else:
        return name
    raise ValueError(f"run name {name[:MAX_NAME_LENGTH]!r} cannot be used: {problem}")


class Inside:
    """An attribute of a run: the path of that name inside its directory."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, run: RunPaths, kind: type[RunPaths]) -> Path:
        return run.path / self.name


@dataclass(frozen=True)
class RunPaths:
    """The files of one run directory `path`; none of them has to exist."""

    path: Path

    status_path = Inside("run.json")
    """State and progress."""
    lock_path = Inside(".lock")
    """Held by the one process that trains this run."""
    data_path = Inside("data.json")
    """The corpus, its split and its baselines."""
    config_path = Inside("config.yaml")
    """The whole configuration."""
    seams_path = Inside("seams.json")
    """Where settings changed in the middle of the run."""
    metrics_path = Inside("metrics.jsonl")
    """One line a logged step."""
    events_path = Inside("events.jsonl")
    """What happened."""
    samples_path = Inside("samples.jsonl")
    """Text the model wrote while it trained."""
    tokenizer_path = Inside("tokenizer.json")
    """The vocabulary."""
    predictions_path = Inside("predictions.json")
    """What was predicted before the start."""
    report_path = Inside("report.md")
    """The report (`lab.report`)."""
    checkpoints_dir = Inside("checkpoints")
    """To resume from."""
    snapshots_dir = Inside("snapshots")
    """Weights to look at."""
    reference_texts_dir = Inside("probes")
    """The reference texts as each snapshot saw them."""
    control_dir = Inside("control")
    """Commands for the trainer."""
    tensorboard_dir = Inside("tensorboard")
    """Event files."""
    wandb_dir = Inside("wandb")
    """Weights & Biases' own folder lies in here."""

    @property
    def name(self) -> str:
        """The run's name is its folder's."""
        return self.path.name
