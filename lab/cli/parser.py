"""From command line and YAML to settings: errors of one line, and every mistake at once."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any, NoReturn

import yaml
from lightning.pytorch.cli import LightningArgumentParser

from lab.runs.compare import flatten

UNKNOWN = re.compile(
    r"does not accept option '([^']+)'|[Nn]o action for key \"([^\"]+)\"|[Uu]nrecognized arguments: (\S+)"
)
BAD_VALUE = re.compile(r"Parser key \"([^\"]+)\":\s*(.*)", re.DOTALL)
CLASS_PROBLEM = re.compile(
    r"Problem with given class_path [^-]*|Expected a dot import path string: \S+"
    r"|the following arguments are required: [\w, ]*"
)
MOST_PROBLEMS = 20

DECIDED_ELSEWHERE = {
    "model.config.vocab_size": "it follows from the tokenizer: set data.tokenizer or data.vocab_size",
    "trainer.max_steps": "the horizon decides it: set horizon.steps (or tokens, tokens_per_parameter, minutes)",
    "trainer.max_epochs": "a run is measured in steps: set horizon.steps (or tokens, tokens_per_parameter, minutes)",
    "trainer.accumulate_grad_batches": "it follows from data.tokens_per_step and data.batch_size",
    "trainer.val_check_interval": "set validation.every, in optimizer steps",
    "trainer.check_val_every_n_epoch": "set validation.every, in optimizer steps",
    "trainer.gradient_clip_val": "set model.optimizer.clip",
    "trainer.gradient_clip_algorithm": "model.optimizer.clip clips by the global norm",
    "trainer.default_root_dir": "set run.root and run.name",
    "trainer.logger": "set tensorboard and wandb",
    "trainer.enable_checkpointing": "set checkpoint.every",
    "trainer.min_steps": "a run has one length: set horizon.steps",
    "trainer.min_epochs": "a run is measured in steps: set horizon.steps",
    "trainer.fast_dev_run": "for a short try set horizon.steps to 10",
    "trainer.limit_train_batches": "set horizon.steps",
    "trainer.limit_val_batches": "set data.val_tokens",
    "trainer.limit_test_batches": "a run has a training and a validation split, and no other",
    "trainer.limit_predict_batches": "a run has a training and a validation split, and no other",
    "trainer.overfit_batches": "set data.repeat_first_batch",
    "trainer.num_sanity_val_steps": "validation at step 0 is that check: see validation.every",
    "trainer.log_every_n_steps": "set log.every",
    "trainer.enable_model_summary": "its line is printed when a run starts",
    "trainer.barebones": "it switches off what makes a run directory",
    "trainer.reload_dataloaders_every_n_epochs": "batch n follows from data.seed and n",
    "trainer.use_distributed_sampler": "batch n follows from data.seed and n",
    "trainer.sync_batchnorm": "the model has no batch norm",
    "trainer.strategy": "a run trains on one device",
    "trainer.num_nodes": "a run trains on one machine",
    "trainer.enable_autolog_hparams": "the whole configuration is always logged",
    "trainer.model_registry": "checkpoints lie in the run directory",
}
"""Settings that Lightning or a link would overrule in silence, or that have no meaning here, and where the person
should turn instead."""


class SettingsError(ValueError):
    """What is wrong with the settings, one line a problem; `main` prints it and exits with 2."""


class LabParser(LightningArgumentParser):
    """Lightning's parser, whose errors are one line instead of fifty lines of usage."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise instead of printing the whole usage and leaving the process."""
        raise SettingsError(message) from ex


def known_keys(parser: LightningArgumentParser) -> list[str]:
    """Every dotted key the parser accepts."""
    hidden = ("help", "config", "print_config", "==SUPPRESS==")
    return [a.dest for a in parser._actions if a.dest not in hidden and not a.dest.endswith(".help")]


def explain(message: str, keys: list[str], given: list[str]) -> tuple[str | None, str]:
    """The offending dotted key (None when the message names none) and one line for the person."""
    if match := UNKNOWN.search(message):
        key = next(filter(None, match.groups())).lstrip("-").split("=")[0]
        # Inside a nested group the parser names the key relative to the group.
        key = next((g for g in given if g == key or g.endswith(f".{key}")), key)
        return key, unknown_key(key, keys)
    if match := BAD_VALUE.search(message):
        key, reason = match[1], " ".join(match[2].split())
        reason = reason.split(" Got value: ")
        value = f" is {reason[1]}:" if len(reason) > 1 else ":"
        return key, f"{key}{value} {humane_type(reason[0])}"
    return None, " ".join(message.split())


WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "NoneType": "null"}


def humane_type(reason: str) -> str:
    """`Expected a <class 'int'>.` in words: `expected a whole number`."""
    if found := CLASS_PROBLEM.search(reason):
        return f"{found[0].strip()} (give a class's import path, such as lightning.pytorch.callbacks.EarlyStopping)"
    names = [name.rsplit(".", 1)[-1] for name in re.findall(r"Expected an? <class '([\w.]+)'>", reason)]
    if names:
        return "expected " + " or ".join(dict.fromkeys(WORDS.get(name, name) for name in names))
    if choices := re.search(r"Literal\[(.*?)\]", reason):
        return f"expected one of {choices[1]}"
    return reason


def unknown_key(key: str, keys: list[str]) -> str:
    """`model.config.n_layres`: no such setting; did you mean …"""
    if key in DECIDED_ELSEWHERE:
        return decided_elsewhere(key)
    last = key.rsplit(".", 1)[-1]
    close = difflib.get_close_matches(key, keys, n=2, cutoff=0.75)
    close += [
        k for k in keys if k.rsplit(".", 1)[-1] in difflib.get_close_matches(last, [x.rsplit(".", 1)[-1] for x in keys])
    ]
    close = list(dict.fromkeys(close))[:3]
    return f"{key}: no such setting" + (f"; did you mean {' or '.join(close)}?" if close else "")


def decided_elsewhere(key: str) -> str:
    """Why a setting is not for the person to give, and what to set instead."""
    return f"{key} cannot be set: {DECIDED_ELSEWHERE[key]}"


class Sources:
    """The settings as given: YAML files in order, then flags. A mistake can be taken out to find the next one."""

    def __init__(self, args: list[str]) -> None:
        self.files: list[tuple[str, dict[str, Any]]] = []
        self.flags: list[str] = []
        rest = iter(args)
        for arg in rest:
            if arg in ("--config", "-c"):
                self._read(next(rest, ""))
            elif arg.startswith("--config="):
                self._read(arg.split("=", 1)[1])
            else:
                self.flags.append(arg)

    def _read(self, name: str) -> None:
        path = Path(name)
        if not path.is_file():
            raise SettingsError(f"--config {name}: no such file" + near_file(path))
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SettingsError(f"--config {name}: not YAML: {' '.join(str(error).split())}") from None
        if content is None:
            content = {}
        if not isinstance(content, dict):
            raise SettingsError(f"--config {name}: expected settings like `model: …`, found a {type(content).__name__}")
        self.files.append((name, content))

    def given_keys(self) -> dict[str, str]:
        """Dotted key → where it was given, for every leaf in files and flags."""
        keys = {key: name for name, content in self.files for key in flatten(content)}
        keys |= {a[2:].split("=")[0]: "command line" for a in self.flags if a.startswith("--")}
        return keys

    def without(self, key: str) -> bool:
        """Take every mention of `key` out; False when it was nowhere."""
        found = False
        for _, content in self.files:
            found |= remove(content, key.split("."))
        for i, flag in reversed(list(enumerate(self.flags))):
            if flag.startswith("--") and flag[2:].split("=")[0].rstrip("+") == key:
                has_value = "=" not in flag and i + 1 < len(self.flags) and not self.flags[i + 1].startswith("--")
                del self.flags[i : i + 1 + has_value]
                found = True
        return found

    def args(self) -> list[str]:
        """The arguments again, files inlined as YAML text."""
        inlined = [x for _, content in self.files for x in ("--config", yaml.safe_dump(content))]
        return inlined + self.flags


def every_problem(parser: LightningArgumentParser, args: list[str], first: SettingsError) -> list[str]:
    """Parse again and again, each time without the mistake found before, until nothing is left to complain about."""
    sources, keys, problems, message = Sources(args), known_keys(parser), [], str(first)
    for _ in range(MOST_PROBLEMS):
        given = sources.given_keys()
        key, line = explain(message, keys, list(given))
        where = given.get(key or "")
        problems.append(f"{line} (in {where})" if where and where != "command line" else line)
        if key is None or not sources.without(key):
            break
        try:
            parser.parse_args(sources.args())
            break
        except SettingsError as error:
            message = str(error)
    return list(dict.fromkeys(problems))


def remove(tree: dict[str, Any], path: list[str]) -> bool:
    """Delete the leaf at `path`; True when it was there."""
    head, *rest = path
    if head not in tree:
        return False
    if rest:
        return isinstance(tree[head], dict) and remove(tree[head], rest)
    del tree[head]
    return True


def near_file(path: Path) -> str:
    """A hint at a file of a similar name in the same folder."""
    folder = path.parent if path.parent.is_dir() else Path("configs")
    names = [str(p) for p in folder.glob("**/*.yaml")] if folder.is_dir() else []
    close = difflib.get_close_matches(str(path), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
