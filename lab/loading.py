"""A run and a step, or a Hugging Face folder, to a model and its tokenizer; a run to the data it learned from.

    model, tokenizer = lab.load("quickstart")               # the newest weights
    model, tokenizer = lab.load("quickstart", step=128)     # any snapshot or checkpoint
    model, tokenizer = lab.load("path/to/gpt2")             # config.json and model.safetensors

Only tensors and plain values are read, never code, so a checkpoint from anywhere can be opened.
"""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lab.data.bpe import from_merges, published_bpe
from lab.data.corpora import files_to_download
from lab.data.tokenizers import Tokenizer, load_tokenizer
from lab.model import GPT, GPTConfig, load_gpt2
from lab.runs import Run, open_run
from lab.runs.checkpoints import (
    CHECKPOINT_SUFFIX,
    SNAPSHOT_SUFFIX,
    CheckpointInfo,
    check_file,
    find_checkpoint,
    unusable_files,
)
from lab.runs.snapshots import read_snapshot

if TYPE_CHECKING:
    from lab.data.dataset import LabData

MODULE_PREFIX = "model."  # of the network's weights in a training checkpoint
GPT2_VOCABULARY = 50257
# What a damaged file makes torch.load raise.
DAMAGE = (OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError)
MOST_NAMED = 5
MOST_STEPS_NAMED = 24


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
        """Optimizer steps behind the weights; None where nobody knows."""
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
        step: Optimizer steps done; exactly one of those that were saved. None: the newest weights, `last`: the
            newest checkpoint, `best`: the checkpoint of the lowest validation loss.
        root: The folder of all runs.
        device: Where the model goes, such as `cpu`, `cuda`, `mps`.
        verify: Read the file twice, the first time to check its sha256 (about 1 GB/s).

    Raises:
        ValueError: saying what is wrong: no such run or step (and which there are), a file that is torn,
            damaged or something else, weights that don't fit their configuration, a device that is not there.
    """
    device = _check_device(device)
    try:
        found = open_run(run, root)
    except ValueError:
        if not _is_file(Path(run) / "config.json"):
            raise
        return _load_folder(Path(run), step, device)
    info = find_weights(found, step)
    if verify and (problem := check_file(info)):
        raise ValueError(problem)
    tokenizer = load_tokenizer(found.tokenizer_path)
    model = read_model(info)
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


def read_model(info: CheckpointInfo) -> GPT:
    """The model of one snapshot or checkpoint, on the CPU and in evaluation mode.

    Raises `ValueError` where the file is not what its facts say.
    """
    config = _config(info)
    snapshot = info.path.suffix == SNAPSHOT_SUFFIX
    weights = read_snapshot(info.path) if snapshot else _read_checkpoint(info.path)
    # The weights that are drawn here are thrown away: nobody's random state shall feel it.
    with torch.random.fork_rng(devices=[]):
        model = GPT(config)
    _fill(model, weights, info.path)
    return model.eval()


def load_data(run: Run, *, download: bool = True) -> LabData:
    """The data of a run, as it was when the run began: `step_batch(n)` of it is what step n learned from.

    Args:
        run: Its config.yaml says which corpus, its data.json which content, its tokenizer.json how it is cut.
        download: Whether a published corpus may be fetched again; if not, it must be on this machine.

    Raises `ValueError` where the run has no records of its data, or the corpus is gone or no longer what it was.
    """
    from lab.data.dataset import LabData
    from lab.data.synthetic import MADE

    config, facts = run.config(), run.data()
    if config is None or facts is None:
        missing = run.config_path if config is None else run.data_path
        raise ValueError(f"run {run.name!r} has no {missing.name}: it did not get as far as its data")
    try:
        settings = dict(config["data"])
        # As they came out: the model may have decided the one, the number of processes the other.
        settings |= {name: facts[name] for name in ("context_length", "tokens_per_step")}
        was = facts["corpus"]["fingerprint"]
        if settings["corpus"] not in MADE:
            settings["tokenizer"] = str(run.tokenizer_path)
        data = LabData(**settings)
    except (KeyError, TypeError) as error:
        files = f"{run.config_path} or {run.data_path.name}"
        raise ValueError(f"{files} does not describe data that this version knows: {error}") from None
    if not download and (missing_files := files_to_download(data.corpus_name, data.data_dir, **data.corpus_options)):
        raise ValueError(
            f"the corpus {data.corpus_name!r} of {run.name!r} is not on this machine any more "
            f"({missing_files[0].name} is missing); `python -m lab batch {run.name} 0` fetches it again"
        )
    if data.corpus.fingerprint() != was:
        raise ValueError(
            f"the corpus {data.corpus_name!r} is no longer the one that {run.name!r} learned from (its "
            f"fingerprint differs). Was it another version of Python, or has a file changed?"
        )
    return data


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
    """The network's weights in a training checkpoint; the optimizer's state is mapped and never read."""
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (*DAMAGE, pickle.UnpicklingError) as error:
        # Torch's own text fills a screen, and advises to switch the protection off.
        objects = "unsupported" in str(error).lower()
        reason = "it holds objects, which may be code" if objects else "it is torn, or no checkpoint"
        raise ValueError(f"{path} cannot be opened: {reason}") from None
    weights = stored.get("state_dict") if isinstance(stored, dict) else None
    if not isinstance(weights, dict):
        raise ValueError(f"{path} is no checkpoint of this lab: it has no state_dict")
    return {
        name.removeprefix(MODULE_PREFIX): tensor for name, tensor in weights.items() if name.startswith(MODULE_PREFIX)
    }


def _fill(model: GPT, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put `weights` into the model, all of them and nothing else. Raises `ValueError` naming what does not
    fit.
    """
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


# ---------------------------------------------------------------- Hugging Face folders


def _load_folder(folder: Path, step: int | str | None, device: torch.device) -> Loaded:
    if step is not None:
        raise ValueError(f"step={step!r}: {folder} is a Hugging Face folder, which holds one set of weights")
    model = load_gpt2(folder)
    tokenizer = _folder_tokenizer(folder, model.config.vocab_size)
    size, rows = tokenizer.vocab_size, model.config.vocab_size
    if size > rows:
        raise ValueError(f"{folder}: the vocabulary has {size} tokens, the model knows {rows} ids")
    if size < rows:
        # Rows that no token has (a vocabulary rounded up) are padding: never seen, never written.
        model.config = replace(model.config, vocab_size=size, pad_vocab_to=rows)
    return Loaded(model.to(device), tokenizer, folder.resolve().name)


def _folder_tokenizer(folder: Path, vocab_size: int) -> Tokenizer:
    """The folder's own vocabulary, in this lab's form or GPT-2's; where it has none, GPT-2's if the size is
    its.
    """
    for read in (_own_tokenizer, _tokenizer_json, _vocab_and_merges):
        if (tokenizer := read(folder)) is not None:
            return tokenizer
    if vocab_size != GPT2_VOCABULARY:
        raise ValueError(
            f"{folder} has no vocabulary, and with {vocab_size} token ids it is not GPT-2's: "
            f"put its vocab.json and merges.txt, or its tokenizer.json, into the folder"
        )
    return published_bpe("gpt2")


def _own_tokenizer(folder: Path) -> Tokenizer | None:
    stored = _read_json(folder / "tokenizer.json")
    return load_tokenizer(folder) if stored is not None and "tokens" in stored else None


def _tokenizer_json(folder: Path) -> Tokenizer | None:
    """Hugging Face's newer form: one file with everything."""
    path = folder / "tokenizer.json"
    stored = _read_json(path)
    if stored is None:
        return None
    model, words = stored.get("model") or {}, stored.get("pre_tokenizer") or {}
    plain = words.get("type") == "ByteLevel" and not words.get("add_prefix_space")
    if model.get("type") != "BPE" or not plain or stored.get("normalizer"):
        raise ValueError(f"{path} holds no tokenizer like GPT-2's: only byte-level BPE is read")
    pairs = [pair if isinstance(pair, str) else " ".join(pair) for pair in model.get("merges", [])]
    return _byte_level(path, model.get("vocab", {}), pairs)


def _vocab_and_merges(folder: Path) -> Tokenizer | None:
    """Hugging Face's older form: ids in vocab.json, the order of learning in merges.txt."""
    path = folder / "vocab.json"
    vocabulary = _read_json(path)
    if vocabulary is None:
        return None
    try:
        lines = (folder / "merges.txt").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{path} has no readable merges.txt beside it") from None
    return _byte_level(path, vocabulary, [line for line in lines if line and not line.startswith("#version")])


def _byte_level(path: Path, vocabulary: dict[str, int], merges: list[str]) -> Tokenizer:
    """GPT-2's layout: 256 bytes, then what each merge made, in the order of learning, then the end of
    text.
    """
    learned = [pair.replace(" ", "") for pair in merges]
    n = 256 + len(learned)
    tokens = {token: i for token, i in vocabulary.items() if i < n}
    in_order = [tokens.get(token) for token in learned] == list(range(256, n))
    if not in_order or len(tokens) != n or len(vocabulary) > n + 1:
        raise ValueError(
            f"{path} cannot be opened here: it is not laid out as GPT-2's vocabulary (256 bytes, then what "
            f"the merges make, in order, then the end of text)"
        )
    try:
        return from_merges(tokens, name=path.parent.resolve().name)
    except KeyError as error:
        raise ValueError(f"{path} is not byte-level: {error} stands for no byte") from None


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        stored = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise ValueError(f"{path} is damaged: not JSON") from None
    if not isinstance(stored, dict):
        raise ValueError(f"{path} is damaged: it does not hold an object")
    return stored
