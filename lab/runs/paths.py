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


@dataclass(frozen=True)
class RunPaths:
    """The files of one run directory `path`; none of them has to exist."""

    path: Path

    @property
    def name(self) -> str:
        """The run's name is its folder's."""
        return self.path.name

    @property
    def status_path(self) -> Path:
        """`run.json`: state and progress."""
        return self.path / "run.json"

    @property
    def lock_path(self) -> Path:
        """`.lock`: held by the one process that trains this run."""
        return self.path / ".lock"

    @property
    def data_path(self) -> Path:
        """`data.json`: the corpus, its split and its baselines."""
        return self.path / "data.json"

    @property
    def config_path(self) -> Path:
        """`config.yaml`: the whole configuration."""
        return self.path / "config.yaml"

    @property
    def seams_path(self) -> Path:
        """`seams.json`: where settings changed in the middle of the run."""
        return self.path / "seams.json"

    @property
    def metrics_path(self) -> Path:
        """`metrics.jsonl`: one line a logged step."""
        return self.path / "metrics.jsonl"

    @property
    def events_path(self) -> Path:
        """`events.jsonl`: what happened."""
        return self.path / "events.jsonl"

    @property
    def samples_path(self) -> Path:
        """`samples.jsonl`: text the model wrote while it trained."""
        return self.path / "samples.jsonl"

    @property
    def tokenizer_path(self) -> Path:
        """`tokenizer.json`: the vocabulary."""
        return self.path / "tokenizer.json"

    @property
    def predictions_path(self) -> Path:
        """`predictions.json`: what was predicted before the start."""
        return self.path / "predictions.json"

    @property
    def report_path(self) -> Path:
        """`report.md`: the report (`lab.report`)."""
        return self.path / "report.md"

    @property
    def checkpoints_dir(self) -> Path:
        """`checkpoints/`: to resume from."""
        return self.path / "checkpoints"

    @property
    def snapshots_dir(self) -> Path:
        """`snapshots/`: weights to look at."""
        return self.path / "snapshots"

    @property
    def reference_texts_dir(self) -> Path:
        """`probes/`: the reference texts as each snapshot saw them."""
        return self.path / "probes"

    @property
    def control_dir(self) -> Path:
        """`control/`: commands for the trainer."""
        return self.path / "control"

    @property
    def tensorboard_dir(self) -> Path:
        """`tensorboard/`: event files."""
        return self.path / "tensorboard"

    @property
    def wandb_dir(self) -> Path:
        """`wandb/`: Weights & Biases' own folder lies in here."""
        return self.path / "wandb"
