"""A run and a step, or a Hugging Face folder, to a model and its tokenizer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import torch
from torch import Tensor

from lab.data.tokenizers import Tokenizer, load_tokenizer
from lab.limits import usable_threads
from lab.loading.huggingface import INDEX_FILE, load_folder
from lab.model import GPT, GPTConfig
from lab.model.gpt2_layout import CONFIG_FILE, WEIGHTS_FILE
from lab.runs import Run, open_run
from lab.runs.checkpoint_state import read_state
from lab.runs.checkpoints import (
    CHECKPOINT_SUFFIX,
    SNAPSHOT_SUFFIX,
    CheckpointInfo,
    check_file,
    find_checkpoint,
    unusable_files,
)
from lab.runs.snapshots import read_snapshot
from lab.waiting import watch_neighbours

MODULE_PREFIX = "model."  # of the network's weights in a training checkpoint
MOST_NAMED = 5  # weights that a message about a misfit names
MOST_STEPS_NAMED = 24  # steps that a message about a missing one names


@dataclass(frozen=True)
class Loaded:
    """A model, its tokenizer and where they are from; unpacks into the first two.

    Args:
        model: In evaluation mode, on the device asked for.
        tokenizer: Encodes for it and decodes what it writes.
        name: The run's name, or the folder's.
        run: The run; None for a Hugging Face folder.
        info: The facts of the checkpoint or snapshot (step, losses, sha256, …); None for such a folder.
    """

    model: GPT
    tokenizer: Tokenizer
    name: str
    run: Run | None = None
    info: CheckpointInfo | None = None

    def __iter__(self) -> Iterator[GPT | Tokenizer]:
        return iter((self.model, self.tokenizer))

    @property
    def step(self) -> int | None:
        """Optimizer steps behind the weights; None for a Hugging Face folder."""
        return None if self.info is None else self.info.step


def load(
    run: str | Path,
    step: int | str | None = None,
    root: str | Path = "runs",
    device: str | torch.device = "cpu",
    *,
    verify: bool = False,
) -> Loaded:
    """Open the weights of a run as they were at a step.

    Args:
        run: A name under `root`, `last` for the newest run, a run's path, or a folder with a Hugging Face GPT-2.
        step: Optimizer steps done; exactly one of those that were saved. None: the newest weights, `last`: the newest
            checkpoint, `best`: the checkpoint of the lowest validation loss.
        root: The folder of all runs.
        device: Where the model goes, such as `cpu`, `cuda`, `mps`.
        verify: Read the file twice, the first time to check its sha256 (about 1 GB/s).

    Raises:
        ValueError: saying what is wrong: no such run or step (and which there are), a file that is torn, damaged or
            something else, weights that don't fit their configuration, a device that is not there.
    """
    device = _check_device(device)
    # PyTorch does not see a container's limits.
    torch.set_num_threads(min(torch.get_num_threads(), usable_threads()[0]))
    watch_neighbours()
    try:
        found = open_run(run, root)
    except ValueError:
        folder = Path(run)
        if not any(_is_file(folder / name) for name in (CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE)):
            raise
        if step is not None:
            raise ValueError(
                f"step={step!r}: {folder} is a Hugging Face folder, which holds one set of weights"
            ) from None
        model, tokenizer = load_folder(folder)
        return Loaded(model.to(device), tokenizer, folder.resolve().name)
    info = find_weights(found, step)
    if verify and (problem := check_file(info)):
        raise ValueError(problem)
    tokenizer = load_tokenizer(found.tokenizer_path)
    model = _read_model(info)
    if model.config.vocab_size != tokenizer.vocab_size:
        raise ValueError(
            f"{info.path} was trained with {model.config.vocab_size} token ids, but {found.tokenizer_path} "
            f"has {tokenizer.vocab_size}: one of them is of another run"
        )
    return Loaded(model.to(device), tokenizer, found.name, found, info)


def list_weights(run: Run) -> list[CheckpointInfo]:
    """Everything of a run that can be loaded, by step; of a step that has both, the (smaller) snapshot."""
    by_step = {info.step: info for info in (*run.checkpoints(), *run.snapshots())}
    return [by_step[step] for step in sorted(by_step)]


def find_weights(run: Run, step: int | str | None = None) -> CheckpointInfo:
    """The snapshot or checkpoint that `load` takes for `step`. Raises `ValueError` naming those there are."""
    if step in ("last", "best"):
        return find_checkpoint(run, step)
    if step is not None and not isinstance(step, Integral):
        raise ValueError(f"step={step!r}: give a number of optimizer steps, 'last' or 'best'")
    found, damaged = list_weights(run), _damaged(run)
    if not found:
        why = f": damaged, or without facts: {', '.join(damaged.values())}" if damaged else " yet"
        raise ValueError(f"run {run.name!r} has no weights to load{why}")
    if step is None:
        later = [name for at, name in damaged.items() if at > found[-1].step]
        # While it trains, the facts of the newest file may be on their way.
        if later and not run.status().active:
            warnings.warn(
                f"run {run.name!r}: {', '.join(later)} is damaged, or without facts; "
                f"these are the weights of step {found[-1].step}",
                stacklevel=3,
            )
        return found[-1]
    for info in found:
        if info.step == step:
            return info
    problem = f"{damaged[step]} is damaged, or without facts" if step in damaged else f"no weights of step {step}"
    raise ValueError(f"run {run.name!r}: {problem}; {_steps_there_are(found, int(step))}")


def _read_model(info: CheckpointInfo) -> GPT:
    """The model of one snapshot or checkpoint, on the CPU and in evaluation mode."""
    config = _config(info)
    snapshot = info.path.suffix == SNAPSHOT_SUFFIX
    weights = read_snapshot(info.path) if snapshot else _read_checkpoint(info.path)
    # The initial weights drawn here are replaced: the caller's random state stays as it was.
    with torch.random.fork_rng(devices=[]):
        model = GPT(config)
    _fill(model, weights, info.path)
    return model.eval()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no path at all: too long, or with a zero byte in it
        return False


def _check_device(device: str | torch.device) -> torch.device:
    try:
        torch.empty(0, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device={str(device)!r} cannot be used here: {str(error).splitlines()[0]}") from None


def _steps_there_are(found: list[CheckpointInfo], asked: int) -> str:
    nearest = sorted(found, key=lambda info: abs(info.step - asked))[:MOST_STEPS_NAMED]
    steps = ", ".join(str(step) for step in sorted(info.step for info in nearest))
    if len(found) > len(nearest):
        return f"of the {len(found)} there are, the nearest are those of the steps {steps}"
    return f"there are those of the steps {steps}"


def _damaged(run: Run) -> dict[int, str]:
    """Steps whose file is torn or without facts, and the file's name."""
    folders = ((run.checkpoints_dir, CHECKPOINT_SUFFIX), (run.snapshots_dir, SNAPSHOT_SUFFIX))
    files = [path for folder, suffix in folders if folder.is_dir() for path in unusable_files(folder, suffix)]
    steps = {path: path.stem.removeprefix("step-") for path in files}
    return {int(step): path.name for path, step in steps.items() if step.isdecimal()}


def _config(info: CheckpointInfo) -> GPTConfig:
    try:
        return GPTConfig(**info.model_config)
    except (TypeError, ValueError) as error:
        facts = info.path.with_suffix(".json")
        raise ValueError(f"{facts} describes no model that this version can build: {error}") from None


def _read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The network's weights in a training checkpoint; the optimizer's state stays on the disk."""
    weights = read_state(path, mmap=True)["state_dict"]
    return {
        name.removeprefix(MODULE_PREFIX): tensor for name, tensor in weights.items() if name.startswith(MODULE_PREFIX)
    }


def _fill(model: GPT, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put `weights` into the model, all of them and nothing else. Raises `ValueError` naming what does not fit."""
    expected = model.state_dict()
    problems = [f"{name} is missing" for name in expected if name not in weights]
    problems += [f"{name} is no weight of this model" for name in weights if name not in expected]
    problems += [
        f"{name} is {list(weights[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in expected.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    if problems:
        more = f", and {len(problems) - MOST_NAMED} more" if len(problems) > MOST_NAMED else ""
        raise ValueError(
            f"{path} does not fit the configuration in {path.with_suffix('.json').name}: "
            f"{'; '.join(problems[:MOST_NAMED])}{more}"
        )
    model.load_state_dict(weights)
