"""What a run can be started with from the page: configurations by name, and a list of plain settings.

Every visitor of the page can start a process with these, so no text is passed on as it is: each value is checked
against its setting and made into a flag of `fit`. No setting names a class, a command, or a file outside the data
folder.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import presets
from lab.checks import did_you_mean
from lab.data.corpora import CORPORA
from lab.data.download import data_root
from lab.data.opening import ENDINGS, is_ids, is_text
from lab.data.tokenizers import KINDS
from lab.model import GPTConfig
from lab.planning.sizes import KNOWN_VOCABULARIES
from lab.presets import CONFIGURATIONS, lay_over, nested, read_settings

MOST_FILES = 500


@dataclass(frozen=True)
class Setting:
    """One setting: the flag of `fit` it becomes, what it is for, and its allowed values."""

    flag: str
    what: str
    kind: str = "int"  # int, number, bool, text, choice, file, preset
    least: float = 1
    most: float = 1e12
    choices: tuple[str, ...] = ()


_SHAPE = "give n_layers, n_heads and d_model together, or a preset"
SETTINGS = {  # by the page's name; the flag's name is accepted too
    "preset": Setting("model.config", "size of the model", "preset"),
    "n_layers": Setting("model.config.n_layers", _SHAPE, most=1000),
    "n_heads": Setting("model.config.n_heads", _SHAPE, most=1000),
    "d_model": Setting("model.config.d_model", _SHAPE, most=100_000),
    "context_length": Setting("model.config.context_length", "tokens the model sees at once", most=1_000_000),
    "dropout": Setting("model.config.dropout", "share of activations dropped", "number", 0, 0.99),
    "corpus": Setting("data.corpus", "what it learns from", "choice", choices=tuple(CORPORA)),
    "file": Setting("data.path", "your own text, in the data folder", "file"),
    "tokenizer": Setting("data.tokenizer", "how text becomes tokens", "choice", choices=tuple(KINDS)),
    "vocab_size": Setting("data.vocab_size", "ids of a bpe vocabulary", most=1_000_000),
    "batch_size": Setting("data.batch_size", "sequences at a time", most=1_000_000),
    "tokens_per_step": Setting("data.tokens_per_step", "tokens a step learns from"),
    "data_seed": Setting("data.seed", "chooses split and order", least=0, most=2**63 - 1),
    "val_tokens": Setting("data.val_tokens", "tokens to validate on"),
    "steps": Setting("horizon.steps", "length in steps"),
    "minutes": Setting("horizon.minutes", "length in minutes", "number", 1e-3, 1e6),
    "tokens": Setting("horizon.tokens", "length in tokens", "number", 1, 1e15),
    "lr": Setting("model.optimizer.lr", "peak learning rate", "number", 1e-12, 1000),
    "weight_decay": Setting("model.optimizer.weight_decay", "weight decay", "number", 0, 100),
    "optimizer": Setting("model.optimizer.name", "optimizer", "choice", choices=("adamw", "muon")),
    "warmup_steps": Setting("model.schedule.warmup_steps", "steps of rising learning rate", least=0),
    "seed": Setting("seed_everything", "initial weights and random state", least=0, most=2**32 - 1),
    "validate_every": Setting("validation.every", "steps between validations", least=0),
    "checkpoint_every": Setting("checkpoint.every", "steps between checkpoints", least=0),
    "samples_every": Setting("samples.every", "steps between samples", least=0),
    "log_every": Setting("log.every", "steps between lines of the curve"),
    "tensorboard": Setting("tensorboard", "TensorBoard files", "bool"),
    "note": Setting("run.note", "a sentence for yourself", "text"),
}
HORIZONS = ("steps", "minutes", "tokens")
_BY_FLAG = {setting.flag: name for name, setting in SETTINGS.items()}


def configurations() -> dict[str, Path]:
    """The configurations that can be started, by name; `debug` and `model` are laid over others."""
    return presets.configurations(".", "experiments", "broken")


def model_presets() -> dict[str, Path]:
    """The models' sizes by name."""
    return {path.stem: path for path in presets.configurations("model").values()}


def options() -> dict[str, Any]:
    """What can be started, and with which settings: configurations, model presets, settings, own texts."""
    found = []
    for name, path in configurations().items():
        lines = path.read_text(encoding="utf-8").splitlines()
        about = [line.lstrip("# ") for line in lines if line.startswith("#")][1:]
        found.append({"name": name, "about": " ".join(about).strip(), "settings": content_of(name, {})})
    shapes = [{"name": name, **read_settings(path)} for name, path in model_presets().items()]
    return {"configurations": found, "presets": shapes, "settings": SETTINGS, "files": own_files()}


def command_of(path: Path) -> list[str]:
    """The arguments of `fit` in a configuration's first line, which names the files it is laid over; absolute paths."""
    with open(path, encoding="utf-8") as file:
        words = shlex.split(file.readline().lstrip("# "))
    words = words[words.index("fit") + 1 :] if "fit" in words else ["--config", str(path)]
    files = {f"configs/{p.relative_to(CONFIGURATIONS).as_posix()}": str(p) for p in CONFIGURATIONS.glob("**/*.yaml")}
    return [files.get(word, word) for word in words]


def arguments(config: str, overrides: Mapping[str, Any]) -> list[str]:
    """`fit`'s arguments for a configuration's name and plain settings. Raises `ValueError` with all problems."""
    known, problems, given = configurations(), [], {}
    if config not in known:
        problems.append(f"config {config[:100]!r}: there is no such configuration; there are {', '.join(known)}")
    for name, value in overrides.items():
        name = _BY_FLAG.get(name, name)
        if name not in SETTINGS:
            problems.append(_unknown(name))
        elif value is not None:
            try:
                given[name] = _word(name, SETTINGS[name], value)
            except ValueError as error:
                problems.append(str(error))
    if "file" in given and overrides.get("corpus", "text") != "text":
        problems.append("file and corpus contradict each other: a file is a corpus of its own")
    if len(both := [name for name in HORIZONS if name in given]) > 1:
        problems.append(f"{' and '.join(both)} contradict each other: give one length")
    if problems:
        raise ValueError("\n".join(problems))
    if "file" in given:
        given["corpus"] = "text"
    flags = [f"--{SETTINGS[name].flag}={word}" for name, word in given.items()]
    if given.get("tokenizer", "bpe") != "bpe" and "vocab_size" not in given:
        flags.append("--data.vocab_size=null")  # it belongs to the vocabulary that another tokenizer replaces
    return [*command_of(known[config]), *flags]


def _unknown(name: str) -> str:
    hint = did_you_mean(name, [*SETTINGS, *_BY_FLAG], f"there are {', '.join(SETTINGS)}")
    return f"{name[:100]!r} is no setting that can be given here; {hint}"


def _word(name: str, setting: Setting, value: Any) -> str:
    if setting.kind in ("int", "number"):
        return _number(name, setting, value)
    if setting.kind == "bool":
        if not isinstance(value, bool):
            raise ValueError(f"{name} is {value!r}: give true or false")
        return str(value).lower()
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}: give text")
    if setting.kind == "file":
        return str(own_file(value))
    if setting.kind == "text":
        if len(value) > 300 or not value.isprintable():
            raise ValueError(f"{name} must be one line of at most 300 characters")
        return value
    choices: Mapping[str, Any] = model_presets() if setting.kind == "preset" else dict.fromkeys(setting.choices)
    if value not in choices:
        raise ValueError(f"{name} is {value[:100]!r}: there are {', '.join(choices)}")
    return str(choices[value] or value)


def _number(name: str, setting: Setting, value: Any) -> str:
    whole = setting.kind == "int"
    right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not right or not math.isfinite(value) or not setting.least <= value <= setting.most:
        word = "a whole number" if whole else "a number"
        raise ValueError(f"{name} is {str(value)[:50]}: give {word} from {setting.least:g} to {setting.most:g}")
    return repr(value)


def own_file(name: str) -> Path:
    """A text in the data folder. Raises `ValueError` for one that is not there, or lies elsewhere."""
    folder = data_root().resolve()
    try:
        path = (folder / name).resolve()
        found = path.is_file()
    except (OSError, ValueError):  # too long for a path, or with a zero byte in it
        found = False
    if not found or not path.is_relative_to(folder) or not (is_text(path.name) or is_ids(path.name)):
        raise ValueError(
            f"file {name[:200]!r}: no such text in the data folder {folder}; put it there, as one of"
            f" {', '.join(ENDINGS)}"
        )
    return path


def own_files() -> list[str]:
    """The texts in the data folder, by their names within it."""
    folder = data_root()
    if not folder.is_dir():
        return []
    paths = (path for path in sorted(folder.rglob("*")) if (is_text(path.name) or is_ids(path.name)) and path.is_file())
    names = (path.relative_to(folder).as_posix() for path in paths)
    return [name for name in names if not any(part.startswith(".") for part in name.split("/"))][:MOST_FILES]


def content_of(config: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of files and flags together, as one tree without the defaults.

    Raises `ValueError` as `arguments` does.
    """
    tree: dict[str, Any] = {}
    words = iter(arguments(config, overrides))
    for word in words:
        if word == "--config":
            lay_over(tree, read_settings(next(words)))
        elif word.startswith("--"):
            key, equals, text = word[2:].partition("=")
            if key == SETTINGS["note"].flag:  # free text, no YAML
                continue
            value = yaml.safe_load(text if equals else next(words, "null"))
            is_preset = key == SETTINGS["preset"].flag and isinstance(value, str)
            lay_over(tree, nested(key, read_settings(value) if is_preset else value))
    return tree


def shape_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The model's shape, defaults included; `vocab_size` is null where only the text determines it.

    Raises `ValueError` for an impossible shape.
    """
    data, shape = content.get("data", {}), content.get("model", {}).get("config", {})
    kind = data.get("tokenizer", "bpe")
    vocab_size = data.get("vocab_size") or (None if kind == "char" else KNOWN_VOCABULARIES.get(kind))
    model = GPTConfig(**{**shape, "vocab_size": vocab_size or 2})
    names = ("n_layers", "n_heads", "d_model", "context_length")
    return {"vocab_size": vocab_size} | {name: getattr(model, name) for name in names}
