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
    r"|Option '([^']+)' is not accepted|Linked \"([^\"]+)\" must be given"
)
BAD_VALUE = re.compile(r"Parser key \"([^\"]+)\":\s*(.*)", re.DOTALL)
NO_FILE = re.compile(r"Unable to load config ['\"](.*?)['\"]$", re.DOTALL)
VALUE = re.compile(r"(?:Got value|Given value):(.*)")
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
        word = next(filter(None, match.groups())).split("=")[0]
        if match[3] and not word.startswith("--"):
            return word, stray_word(word)
        key = word.removeprefix("--")
        # Inside a nested group the parser names the key relative to the group.
        key = next((g for g in given if g == key or g.endswith(f".{key}")), key)
        return key, unknown_key(key, keys)
    # The parser wraps what is wrong inside of a file or a mapping into a complaint about the whole.
    wrapped = "Unable to load" in message or message.startswith('Parser key "config"')
    if match := BAD_VALUE.search(message[message.rfind('Parser key "') :] if wrapped else message):
        key, reason = match[1], match[2].strip()
        if missing := NO_FILE.match(reason):
            return key, f"{key} is {missing[1]!r}: no such file, nor a setting of {key}{near_file(Path(missing[1]))}"
        value = VALUE.findall(reason)
        shown = f" is {value[-1].strip() or repr('')}:" if value else ":"
        return key, f"{key}{shown} {humane_type(VALUE.sub('', reason))}"
    return None, " ".join(message.split())


def stray_word(word: str) -> str:
    """A word that belongs to no setting: most often a YAML without `--config` in front."""
    if word.startswith("-"):
        return f"{word}: no such setting; settings are given as --name value (see --help)"
    if word.endswith((".yaml", ".yml")):
        return f"{word}: a file of settings is given as --config {word}"
    return f"{word}: belongs to no setting; settings are given as --name value (see --help)"


WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "NoneType": "null",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping such as {name: value}",
}


def humane_type(reason: str) -> str:
    """`Expected a <class 'int'>.` in words: `expected a whole number`."""
    if found := CLASS_PROBLEM.search(reason):
        return f"{found[0].strip()} (give a class's import path, such as lightning.pytorch.callbacks.EarlyStopping)"
    found = re.findall(r"Expected an? (?:<class '([\w.]+)'>|typing\.Literal\[(.*?)\])", reason)
    choices = ", ".join(literal for _, literal in found if literal)
    words = [WORDS.get(name, name) for name in (name.rsplit(".", 1)[-1] for name, _ in found) if name]
    if choices:
        words.insert(max(0, len(words) - ("null" in words)), f"one of {choices}")
    return f"expected {' or '.join(dict.fromkeys(words))}" if words else " ".join(reason.split())


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
        if not name or name.startswith("--"):
            raise SettingsError(f"--config {name}: give a file of settings, such as configs/quickstart.yaml")
        self.files.append((name, read_settings(name)))

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
            if flag == key and (i == 0 or not self.flags[i - 1].startswith("--") or "=" in self.flags[i - 1]):
                del self.flags[i : i + 1 + flag.startswith("-")]  # a stray word, or a flag of one dash and its value
                found = True
            elif flag.startswith("--") and flag[2:].split("=")[0].rstrip("+") == key:
                has_value = "=" not in flag and i + 1 < len(self.flags) and not self.flags[i + 1].startswith("--")
                del self.flags[i : i + 1 + has_value]
                found = True
        return found

    def args(self) -> list[str]:
        """The arguments again, files inlined as YAML text."""
        inlined = [x for _, content in self.files for x in ("--config", yaml.safe_dump(content))]
        return inlined + self.flags

    def wrong_groups(self, keys: list[str]) -> list[str]:
        """Take out what stands where a group of settings should, and say so: the parser takes `model: 3` for fine."""
        groups = {key[:i] for key in keys for i, c in enumerate(key) if c == "."}
        problems = []
        for name, content in self.files:
            for key, value in flatten(content).items():
                if key in groups and value != {} and not (isinstance(value, str) and Path(value).is_file()):
                    inside = next(k for k in keys if k.startswith(f"{key}."))
                    problems.append(f"{key} is {value!r}: it is a group of settings, such as {inside} (in {name})")
                    remove(content, key.split("."))
        return problems


def every_problem(parser: LightningArgumentParser, args: list[str], first: SettingsError) -> list[str]:
    """Parse again and again, each time without the mistake found before, until nothing is left to complain about."""
    sources, keys = Sources(args), known_keys(parser)
    problems = sources.wrong_groups(keys)
    for _ in range(MOST_PROBLEMS):
        try:
            parser.parse_args(sources.args())
            break
        except SettingsError as error:
            given = sources.given_keys()
            key, line = explain(str(error), keys, list(given))
        where = given.get(key or "")
        problems.append(f"{line} (in {where})" if where and where != "command line" else line)
        if key is None or not sources.without(key):
            break
    return list(dict.fromkeys(problems)) or [str(first)]


class _StrictLoader(yaml.SafeLoader):
    """YAML as PyYAML reads it, except that a key given twice is a mistake: one of the two would be ignored."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(None, None, f"{key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_settings(name: str) -> dict[str, Any]:
    """The settings in a YAML file. Raises `SettingsError` for a file that is missing or holds something else."""
    path = Path(name)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)
    except FileNotFoundError:
        raise SettingsError(f"--config {name}: no such file{near_file(path)}") from None
    except OSError as error:
        raise SettingsError(f"--config {name}: {error.strerror}{near_file(path)}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"--config {name}: not YAML: it is not UTF-8 text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise SettingsError(f"--config {name}{where}: not YAML: {problem}") from None
    if content is None:
        raise SettingsError(f"--config {name}: it holds no settings")
    if not isinstance(content, dict):
        raise SettingsError(f"--config {name}: expected settings like `model: …`, found a {type(content).__name__}")
    if odd := next((key for key in content if not isinstance(key, str)), None):
        raise SettingsError(f"--config {name}: {odd!r}: no such setting")
    return content


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
    folder = path if path.is_dir() else path.parent if path.parent.is_dir() else Path("configs")
    names = [str(p) for p in folder.glob("**/*.yaml") if p.is_file()] if folder.is_dir() else []
    close = difflib.get_close_matches(str(path), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
