"""The arguments of `fit`, `plan` and `validate` as given: files of settings and flags, in their order. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lab.presets import as_yaml, find_settings, lay_over, nested, read_written

CONFIG_FLAGS = ("--config", "-c")


@dataclass
class Given:
    """One tree of settings (`tree`), one flag with its value (`key`), or a word that belongs to no flag (neither).

    `file` names where a tree comes from; None for overrides from Python, which lie over a configuration as flags do.
    `written` has its settings that YAML took for something else than a text, by dotted name, as they stand in the file.
    """

    words: list[str]
    key: str | None = None
    tree: dict[str, Any] | None = None
    file: str | None = None
    written: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> str:
        """What was given to a flag; empty where nothing was."""
        return self.words[0].split("=", 1)[1] if "=" in self.words[0] else " ".join(self.words[1:])


@dataclass
class Arguments:
    """What was given, in order: of two that set one setting the later wins."""

    given: list[Given] = field(default_factory=list)

    @classmethod
    def of(cls, words: list[str]) -> Arguments:
        """Read words as a shell hands them over. Raises `ValueError` for a `--config` that cannot be read, and for a
        word that is no UTF-8: a run's files could not name it."""
        for word in words:
            try:
                word.encode()
            except UnicodeEncodeError:
                told = word.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                raise ValueError(
                    f"{told}: it is no UTF-8; rename the file (or name the folder that holds it), or write the text in"
                    " UTF-8"
                ) from None
        return cls(list(_split(words)))

    @classmethod
    def from_python(cls, config: Any, overrides: Mapping[str, Any]) -> Arguments:
        """A configuration (path, name, mapping, or a list of them, each laid over the one before) and groups over it.

        `overrides` are trees (`horizon={"steps": 10}`) or dotted names (`**{"horizon.steps": 10}`).
        """
        layers = [] if config is None else config if isinstance(config, list | tuple) else [config]
        given = [_file(str(x)) if isinstance(x, str | Path) else _tree(x, "config") for x in layers]
        tree: dict[str, Any] = {}
        for key, value in overrides.items():
            lay_over(tree, nested(key, value))
        return cls([*given, *([_tree(tree)] if tree else [])])

    def words(self) -> list[str]:
        """The arguments again, as words."""
        return [word for one in self.given for word in one.words]

    def plain_words(self) -> list[str]:
        """The same with what stands in the files, as they were read, in place of their names."""
        trees = (["--config", as_yaml(one.tree)] if one.tree is not None else one.words for one in self.given)
        return [word for words in trees for word in words]

    def value(self, key: str) -> str | None:
        """The last value given to a flag; None where it was not given."""
        return next((one.value for one in reversed(self.given) if one.key == key), None)

    @property
    def has_files(self) -> bool:
        """Whether a configuration was given, rather than flags alone."""
        return any(one.file is not None for one in self.given)

    def over(self, tree: Mapping[str, Any], name: str) -> Arguments:
        """The same, over the settings of a file `name` that lies beneath all others."""
        return Arguments([_tree(tree, name), *self.given])

    def without(self, *keys: str) -> Arguments:
        """The same less the flags of these names."""
        return Arguments([one for one in self.given if one.key not in keys])

    def with_flags(self, **flags: Any) -> Arguments:
        """The same and further flags on top."""
        more = [Given([f"--{key}", _word(value)], key) for key, value in flags.items()]
        return Arguments([*self.given, *more])

    def renamed(self, old: str, new: str) -> Arguments:
        """The same with a flag under its other name."""

        def other(one: Given) -> Given:
            return Given([f"--{new}{one.words[0].removeprefix(f'--{old}')}", *one.words[1:]], new)

        return Arguments([other(one) if one.key == old else one for one in self.given])

    def with_texts(self, is_text: Callable[[str, Any], bool]) -> Arguments:
        """The same, where a setting that takes a text has the text that stands in its file: `wandb: off` is no boolean.

        `is_text(name, written)` tells which settings these are.
        """

        def meant(one: Given) -> Given:
            texts = {key: text for key, text in one.written.items() if is_text(key, text)}
            tree = lay_over({}, one.tree or {})
            for key, text in texts.items():
                lay_over(tree, nested(key, text))
            return replace(one, tree=tree, words=["--config", as_yaml(tree)]) if texts else one

        return Arguments([meant(one) for one in self.given])

    def layers_of(self, group: str) -> list[dict[str, Any]]:
        """What each file, then all flags together, say of the settings directly in `group`."""
        files = [one.tree.get(group) or {} for one in self.given if one.tree is not None]
        given = {one.key: one.value for one in self.given if one.key and one.key.startswith(f"{group}.")}
        flags = {key.removeprefix(f"{group}."): value for key, value in given.items()}
        return [*files, flags]


def _split(words: list[str]) -> Iterator[Given]:
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name in CONFIG_FLAGS:
            yield _file(value if equals else rest.pop(0) if rest else "")
        elif word.startswith("--") and len(word) > 2:
            has_value = not equals and rest and not rest[0].startswith("--")
            words = [word, *([rest.pop(0)] if has_value else [])]
            if name == "--model.config" and (equals or has_value):  # a file, or a name such as model/pico
                words = [name, str(find_settings(value if equals else words[1]))]
            yield Given(words, name[2:].removesuffix("+"))
        else:  # a word of no flag; of one dash it takes its value along
            has_value = word.startswith("-") and rest and not rest[0].startswith("-")
            yield Given([word, *([rest.pop(0)] if has_value else [])])


def _file(name: str) -> Given:
    if not name or name.startswith("--"):
        raise ValueError(f"--config {name}: give a file of settings, or the name of a configuration such as quickstart")
    path = str(find_settings(name))
    tree, written = read_written(path)
    return Given(["--config", path], tree=tree, file=path, written=written)


def _tree(tree: Mapping[str, Any], name: str | None = None) -> Given:
    plain = lay_over({}, tree)
    return Given(["--config", as_yaml(plain)], tree=plain, file=name)


def _word(value: Any) -> str:
    return "null" if value is None else str(value)
