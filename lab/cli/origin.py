"""Where a fit starts from: nothing, a run to go on with (`--resume`), or a checkpoint of another run (`--fork`)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from lab.cli.parser import SettingsError, flatten
from lab.runs import Run, open_run
from lab.runs.checkpoints import CheckpointInfo, check_file, last_intact, list_checkpoints

ARCHITECTURE = "model.config."
IRRELEVANT = ("run.", "tensorboard", "wandb")


@dataclass(frozen=True)
class Origin:
    """What a fit starts from. `run` and `checkpoint` are None for a new run."""

    kind: Literal["new", "resume", "fork"]
    run: Run | None = None
    checkpoint: CheckpointInfo | None = None

    @property
    def step(self) -> int:
        """Optimizer steps done at the start."""
        return self.checkpoint.step if self.checkpoint else 0


def find_origin(args: list[str]) -> tuple[Origin, list[str]]:
    """Read `--resume RUN` or `--fork RUN@STEP` from the arguments, and put that run's configuration before the others.

    The stored configuration is used only where no `--config` is given; flags come on top of it either way.
    """
    resume, fork = value_of("--resume", args), value_of("--fork", args)
    if resume and fork:
        raise SettingsError("--resume goes on with a run, --fork starts a new one from it: give one of them")
    if not resume and not fork:
        return Origin("new"), args
    root = value_of("--run.root", args) or "runs"
    name, _, step = (resume or fork or "").partition("@")
    run = open_run(name, root)
    if resume and step:
        raise SettingsError(
            f"--resume {resume}: a run goes on from its newest checkpoint; to branch off: --fork {resume}"
        )
    checkpoint = pick_checkpoint(run, step or None)
    if not any(a in ("--config", "-c") or a.startswith("--config=") for a in args):
        args = ["--config", str(run.config_path), *args]
    return Origin("resume" if resume else "fork", run, checkpoint), args


def value_of(flag: str, args: list[str]) -> str | None:
    """The value of `--flag value` or `--flag=value`."""
    for i, arg in enumerate(args):
        if arg == flag:
            return args[i + 1] if i + 1 < len(args) else ""
        if arg.startswith(flag + "="):
            return arg.split("=", 1)[1]
    return None


def pick_checkpoint(run: Run, step: str | None) -> CheckpointInfo:
    """The checkpoint at `step`, or the newest that is whole. Raises `SettingsError` naming the steps there are."""
    known = {info.step: info for info in list_checkpoints(run)}
    if step is None:
        newest, problems = last_intact(run)
        for problem in problems:
            print(f"passed over: {problem}", file=sys.stderr)
        if newest is None:
            raise SettingsError(
                f"run {run.name!r} has no whole checkpoint to start from: start it anew with"
                f" `python -m lab fit --config {run.config_path}`"
            )
        return newest
    if not step.isdigit() or int(step) not in known:
        steps = ", ".join(map(str, known)) or "none"
        raise SettingsError(f"run {run.name!r} has no checkpoint at step {step}; it has {steps}")
    problem = check_file(known[int(step)])
    if problem:
        raise SettingsError(problem)
    return known[int(step)]


def differences(old_text: str, new_text: str) -> dict[str, tuple[Any, Any]]:
    """Settings whose values differ: dotted name → (stored, now)."""
    old, new = (flatten(yaml.safe_load(text) or {}) for text in (old_text, new_text))
    keys = [k for k in dict.fromkeys([*old, *new]) if not k.startswith(IRRELEVANT)]
    return {k: (old.get(k), new.get(k)) for k in keys if old.get(k) != new.get(k)}


def refuse_architecture_changes(run: Run, changed: dict[str, tuple[Any, Any]]) -> None:
    """Weights of one shape cannot go on in a network of another. Raises `SettingsError` naming each such setting."""
    refused = [
        f"{k} was {old!r} in run {run.name!r} and is now {new!r}"
        for k, (old, new) in changed.items()
        if k.startswith(ARCHITECTURE)
    ]
    if refused:
        raise SettingsError(
            "\n".join([*refused, "the architecture of a run cannot change: take the setting back, or start a new run"])
        )
