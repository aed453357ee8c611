"""From arguments to settings that are known to fit together: parsed once; on a mistake each setting by itself.

jsonargparse reads the groups' signatures. It stops at its first mistake, so that after one every setting is parsed
alone: its name is known then, and its type tells what would be right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import lightning as L
import yaml
from jsonargparse import ActionConfigFile, Namespace, get_loader, set_loader
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LightningArgumentParser

from lab.data.datamodule import LabDataModule
from lab.errors import SettingsError
from lab.presets import as_yaml, nested
from lab.runs.configurations import flatten
from lab.settings.arguments import Arguments, Given
from lab.settings.check import problems_of
from lab.settings.groups import GROUPS, OPTIONS, SHARED_OPTIONS, Option
from lab.settings.messages import (
    DECIDED_ELSEWHERE,
    bad_value,
    decided_elsewhere,
    no_file,
    not_a_group,
    stray_word,
    takes_null,
    takes_text,
    unknown_key,
)
from lab.training.module import PretrainingModule

DEFAULT_SEED = 1337
HORIZONS = ("steps", "tokens", "tokens_per_parameter", "minutes")
USAGE = {"fit": "--config FILE", "plan": "--config FILE", "validate": "RUN[@STEP]"}
OF_ONE_START = ("config", "predict", *(name for options in OPTIONS.values() for name in options))
"""What config.yaml leaves out: it says what was asked of one start, not what the run is."""


_read_yaml = get_loader("yaml")


def _value(text: str) -> Any:
    """A value as YAML, but a name that YAML takes for a comment (`#1.txt`) or for a list (`- 1.txt`) is a text."""
    found = _read_yaml(text)
    commented = found is None and text.lstrip().startswith("#")
    dashed = isinstance(found, list) and not text.lstrip().startswith("[") and "\n" not in text
    return text if commented or dashed else found


set_loader("yaml", _value, exceptions=(yaml.YAMLError,))


class LabParser(LightningArgumentParser):
    """Lightning's parser, which raises its complaint instead of printing the usage and leaving the process."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise `SettingsError`."""
        raise SettingsError(message) from ex


def build_parser(command: str) -> LabParser:
    """The parser of `fit`, `plan` or `validate`: every group, Trainer without what the lab decides, and its options."""
    usage = f"python -m lab {command} {USAGE[command]} [--SETTING VALUE …]"
    parser = LabParser(prog=f"python -m lab {command}", usage=usage, description=DESCRIPTIONS[command])
    parser.add_argument(
        "-c",
        "--config",
        action=ActionConfigFile,
        help="A file of settings (YAML), or the name of one in configs/: quickstart.",
    )
    add_option(
        parser, "seed_everything", (int, DEFAULT_SEED, "Seed of the weights, dropout and samples; data.seed is apart.")
    )
    skip = {key.removeprefix("trainer.") for key in DECIDED_ELSEWHERE if key.startswith("trainer.")}
    parser.add_class_arguments(L.Trainer, "trainer", instantiate=False, fail_untyped=False, sub_configs=True, skip=skip)
    parser.add_lightning_class_args(PretrainingModule, "model")
    for name, group in GROUPS.items():
        if issubclass(group, Callback | L.LightningDataModule):
            parser.add_lightning_class_args(group, name)
        else:
            parser.add_class_arguments(group, name)
    for name, option in {**SHARED_OPTIONS, **OPTIONS[command]}.items():
        add_option(parser, name, option)
    parser.link_arguments("data.vocab_size", "model.config.vocab_size", apply_on="instantiate")
    return parser


DESCRIPTIONS = {
    "fit": "Pretrains a model.",
    "plan": "Says what a run will cost and where it will end, before it starts.",
    "validate": "Measures the loss of a run's checkpoint on its whole validation split.",
}


def add_option(parser: LabParser, name: str, option: Option) -> None:
    """One setting outside of any group; a yes or no that is off by default needs no value."""
    kind, default, text = option
    bare = kind is bool and name not in SHARED_OPTIONS
    flag: dict[str, Any] = {"nargs": "?", "const": True} if bare else {}
    parser.add_argument(f"--{name}", type=kind, default=default, help=text, **flag)


class Settings:
    """Checked settings of a command, and the objects that they describe once `build` was called.

    Attributes:
        values: All of them, as nested attributes: `values.model.config.n_layers`.
        tree: The configuration as a mapping, less what only one start asked for.
        text: The same as YAML, as config.yaml keeps it.
    """

    def __init__(self, command: str, arguments: Arguments) -> None:
        self._parser = build_parser(command)
        types = known_keys(self._parser)
        self.command = command
        self.arguments = arguments.with_texts(lambda key, text: key in types and takes_text(types[key], text))
        self.values: Any = parse(self._parser, self.arguments)
        _keep_newest_horizon(self.values, self.arguments)
        self.tree = self._plain(self.values)
        self.text: str = as_yaml(self.tree)
        if self.values.data.context_length is None:
            self.values.data.context_length = self.values.model.config.context_length
        if problems := problems_of(self.values):
            raise SettingsError("\n".join(dict.fromkeys(problems)))
        self._built: Namespace | None = None

    def build(self) -> Settings:
        """Make data, model and instruments. The weights are drawn from `seed_everything`."""
        L.seed_everything(self.values.seed_everything, workers=True, verbose=False)
        self._built = self._parser.instantiate(self.values)
        self.module.seed = self.values.seed_everything
        return self

    def group(self, name: str) -> Any:
        """The object that the settings of a group describe."""
        if self._built is None:
            raise RuntimeError("call build() first")
        return self._built[name]

    @property
    def data(self) -> LabDataModule:
        """The data of the run."""
        return self.group("data")  # type: ignore[no-any-return]

    @property
    def module(self) -> PretrainingModule:
        """The model and its recipe."""
        return self.group("model")  # type: ignore[no-any-return]

    @property
    def device(self) -> str | None:
        """The device that `trainer.accelerator` names; None where it is to be chosen."""
        return "cpu" if self.values.trainer.accelerator == "cpu" else None

    def chosen(self) -> dict[str, Any]:
        """Settings that are not as by default: dotted name → what the default is."""
        now, default = flatten(self.tree), flatten(self._plain(self._parser.get_defaults()))
        return {name: default.get(name) for name, value in now.items() if value != default.get(name)}

    def _plain(self, values: Any) -> dict[str, Any]:
        dumped = self._parser.dump(values, skip_link_targets=True, skip_unset=False, format="yaml")
        tree: dict[str, Any] = yaml.safe_load(dumped)
        for key in OF_ONE_START:
            tree.pop(key, None)
        tree["run"].pop("name", None)
        tree["model"]["config"].pop("vocab_size", None)
        return tree


def parse(parser: LabParser, arguments: Arguments) -> Namespace:
    """The settings that arguments give. Raises `SettingsError` with every mistake."""
    if problems := list(unknown_settings(parser, arguments)):
        raise SettingsError("\n".join(dict.fromkeys([*problems, *bad_values(parser, arguments)])))
    try:
        # Else the settings of a group's file come with its path among them, as `__path__`.
        values = parser.parse_args(arguments.plain_words()).clone(with_meta=False)
        if empty := list(empty_values(parser, values)):
            raise SettingsError("\n".join(empty))
        return values
    except SettingsError as error:
        found = list(dict.fromkeys(bad_values(parser, arguments)))
        raise SettingsError("\n".join(found) or " ".join(str(error).split())) from None


def known_keys(parser: LabParser) -> dict[str, Any]:
    """Every dotted setting → its type; groups are no settings."""
    actions = {action.dest: action for action in parser._actions if not action.dest.endswith(("help", "print_config"))}
    groups = {key[:i] for key in actions for i, letter in enumerate(key) if letter == "."}
    return {key: getattr(a, "_typehint", str) for key, a in actions.items() if key not in groups and key != "config"}


def unknown_settings(parser: LabParser, arguments: Arguments) -> Iterator[str]:
    """A line for each name that is no setting, that something else decides, or that stands where a group does."""
    keys = known_keys(parser)
    for one in arguments.given:
        if one.tree is not None:
            for key, value in _leaves(one.tree, keys):
                yield from (_told(line, one) for line in _misplaced(key, value, keys, in_file=True))
        elif one.key is None:
            if one.words[0] != "-h":
                yield stray_word(one.words[0])
        elif not one.key.endswith("help") and one.key != "print_config":
            yield from _misplaced(one.key, one.value, keys, in_file=False)


def _leaves(tree: Mapping[str, Any], keys: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """What a file sets: dotted settings, and whatever stands where neither a setting nor a group is known."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and key not in keys and _inside(key, keys):
            yield from _leaves(value, keys, f"{key}.")
        else:
            yield key, value


def _inside(key: str, keys: Mapping[str, Any]) -> str | None:
    """A setting of the group `key`; None where it is no group."""
    return next((known for known in keys if known.startswith(f"{key}.")), None)


def _misplaced(key: str, value: Any, keys: Mapping[str, Any], *, in_file: bool) -> Iterator[str]:
    if key in DECIDED_ELSEWHERE:
        yield decided_elsewhere(key)
    elif inside := _inside(key, keys):
        if isinstance(value, str) and Path(value).is_file():
            return
        if in_file:
            yield not_a_group(key, value, inside)
        elif not _is_mapping(value):
            yield no_file(key, value)
    elif key not in keys and not any(key.startswith(f"{known}.") for known in keys):
        yield unknown_key(key, list(keys))


def _is_mapping(text: str) -> bool:
    try:
        return isinstance(yaml.safe_load(text), Mapping)
    except yaml.YAMLError:
        return False


def bad_values(parser: LabParser, arguments: Arguments) -> Iterator[str]:
    """A line for each setting whose value it does not take."""
    keys = {key: type_ for key, type_ in known_keys(parser).items() if key not in DECIDED_ELSEWHERE}
    for one in arguments.given:
        if one.tree is not None:
            for key, value in _leaves(one.tree, keys):
                if key in keys and (line := _refusal(parser, key, value, keys[key], None)):
                    yield _told(line, one)
        elif one.key in keys and (line := _refusal(parser, one.key, one.value, keys[one.key], one)):
            yield line


def empty_values(parser: LabParser, values: Namespace) -> Iterator[str]:
    """A line for each setting that is null though it must have a value, which jsonargparse lets through in a file."""
    for key, type_ in known_keys(parser).items():
        if key in values and values[key] is None and not takes_null(type_):
            yield bad_value(key, None, type_, "")


def _told(line: str, one: Given) -> str:
    return f"{line} (in {one.file})" if one.file else line


def _refusal(parser: LabParser, key: str, value: Any, type_: Any, flag: Given | None) -> str | None:
    if value is None and not takes_null(type_):
        return bad_value(key, value, type_, "")
    try:
        if flag is not None:
            parser.parse_args(flag.words, defaults=False)
        else:
            parser.parse_object(nested(key, value), defaults=False)
    except SettingsError as error:
        return bad_value(key, value, type_, str(error))
    return None


def _keep_newest_horizon(values: Any, arguments: Arguments) -> None:
    """`--horizon.steps 100` over a YAML that says `minutes: 5` means 100 steps, not a contradiction."""
    newest: Mapping[str, Any] = {}
    for layer in arguments.layers_of("horizon"):
        newest = layer if any(layer.get(unit) is not None for unit in HORIZONS) else newest
    for key in HORIZONS:
        if newest.get(key) is None:
            values.horizon[key] = None
