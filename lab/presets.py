"""Files of settings: finding them by name, reading them, and laying one over another. Plain dicts, no torch.

A run's settings are layers: the defaults, then each `--config FILE` in order, then flags. The command line, a
notebook's `lab.fit(…)` and the page's start form all lay them by `lay_over`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.checks import did_you_mean

# Beside lab/ in a clone, inside it where a wheel was installed (pyproject.toml).
_INSIDE, _BESIDE = Path(__file__).with_name("configurations"), Path(__file__).parents[1] / "configs"
CONFIGURATIONS = _INSIDE if _INSIDE.is_dir() else _BESIDE
FOLDERS = (".", "experiments", "model", "debug", "broken")


class _StrictLoader(yaml.SafeLoader):
    """YAML as PyYAML reads it, but 1e-3 is a number, and a key given twice a mistake: one would be ignored."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(None, None, f"{key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """YAML in which a text that would be read as a number, such as the name `1e5`, stands in quotes."""


# YAML 1.1 takes 1e-3 for a text, jsonargparse (and whoever writes it) for a number.
_FLOAT = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$")
for _kind in (_StrictLoader, _Dumper):
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789"))


def as_yaml(settings: Mapping[str, Any]) -> str:
    """Settings as YAML, which `--config` reads as they are."""
    return yaml.dump(settings, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def configurations(*folders: str) -> dict[str, Path]:
    """The configurations directly in `folders` of configs/, by name: `quickstart`, `experiments/markov`."""
    paths = (path for folder in folders for path in sorted((CONFIGURATIONS / folder).glob("*.yaml")))
    return {path.relative_to(CONFIGURATIONS).with_suffix("").as_posix(): path for path in paths}


def find_settings(name: str | Path) -> Path:
    """A file of settings: a file as it is, else the configuration of that name (`quickstart`, `model/pico`)."""
    path = Path(name)
    return path if path.is_file() else configurations(*FOLDERS).get(str(name), path)


def read_settings(name: str | Path) -> dict[str, Any]:
    """The settings in a YAML file. Raises `ValueError` for a file that is missing or holds something else."""
    return read_written(name)[0]


def read_written(name: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings in a YAML file, and by dotted name those that YAML took for something else than a text, as they are
    written there: `{"wandb": "off"}`. Raises `ValueError` as `read_settings`.
    """
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8")  # once: `<(cat x.yaml)` gives its text a single time
        content, root = yaml.load(text, _StrictLoader), yaml.compose(text, _StrictLoader)
    except FileNotFoundError:
        raise ValueError(f"--config {name}: {_missing(path)}") from None
    except OSError as error:
        raise ValueError(f"--config {name}: {error.strerror}{near_file(path)}") from None
    except UnicodeDecodeError:
        raise ValueError(f"--config {name}: not YAML: it is not UTF-8 text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise ValueError(f"--config {name}{where}: not YAML: {problem}") from None
    if content is None:
        raise ValueError(f"--config {name}: it holds no settings")
    if not isinstance(content, dict):
        raise ValueError(f"--config {name}: expected settings like `model: …`, found a {type(content).__name__}")
    if odd := next((key for key in content if not isinstance(key, str)), None):
        raise ValueError(f"--config {name}: {odd!r}: no such setting")
    return content, dict(_written(root))


def _written(node: yaml.Node | None, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from _written(value, f"{key}.{name.value}" if key else str(name.value))
    elif isinstance(node, yaml.ScalarNode) and _other_than_text(node):
        yield key, node.value
    elif isinstance(node, yaml.SequenceNode) and any(map(_other_than_text, node.value)):
        yield key, [item.value for item in node.value]


def _other_than_text(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.tag.endswith((":str", ":null"))


def _missing(path: Path) -> str:
    if path.suffix in (".yaml", ".yml"):
        return f"no such file{near_file(path)}"
    known = configurations(*FOLDERS)
    near = did_you_mean(str(path), known, end=" ", show=str, cutoff=0.5)
    others = ", ".join(f"{folder}/…" for folder in FOLDERS[1:])
    return f"no file and no configuration of that name; {near}there are {', '.join(configurations('.'))}, {others}"


def near_file(path: Path) -> str:
    """A hint at a file of a similar name in the same folder."""
    folder = path if path.is_dir() else path.parent if path.parent.is_dir() else Path("configs")
    names = [str(p) for p in folder.glob("**/*.yaml") if p.is_file()] if folder.is_dir() else []
    near = did_you_mean(str(path), names, show=str, cutoff=0.5)
    return near and f"; {near}"


def lay_over(tree: dict[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Lay settings over others, in place: what `top` says wins, group by group."""
    for name, value in top.items():
        if isinstance(value, Mapping) and isinstance(tree.get(name), dict):
            lay_over(tree[name], value)
        else:
            tree[name] = lay_over({}, value) if isinstance(value, Mapping) else value
    return tree


def nested(key: str, value: Any) -> dict[str, Any]:
    """A dotted key as a tree.

    >>> nested("model.config.n_layers", 3)
    {'model': {'config': {'n_layers': 3}}}
    """
    for name in reversed(key.split(".")):
        value = {name: value}
    return value  # type: ignore[no-any-return]
