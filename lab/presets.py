"""Files of settings: finding them by name, reading them, and laying one over another. Plain dicts, no torch.

A run's settings are layers: the defaults, then each `--config FILE` in order, then flags. The command line, a
notebook's `lab.fit(…)` and the page's start form all lay them by `lay_over`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

CONFIGURATIONS = Path(__file__).parents[1] / "configs"


class _StrictLoader(yaml.SafeLoader):
    """YAML as PyYAML reads it, except that a key given twice is a mistake: one of the two would be ignored."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(None, None, f"{key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def configurations(*folders: str) -> dict[str, Path]:
    """The configurations directly in `folders` of configs/, by name: `quickstart`, `experiments/markov`."""
    paths = (path for folder in folders for path in sorted((CONFIGURATIONS / folder).glob("*.yaml")))
    return {path.relative_to(CONFIGURATIONS).with_suffix("").as_posix(): path for path in paths}


def find_settings(name: str | Path) -> Path:
    """A file of settings: a path as it is, else the configuration of that name (`quickstart`)."""
    path = Path(name)
    named = CONFIGURATIONS / f"{name}.yaml"
    return named if not path.exists() and path.suffix != ".yaml" and named.exists() else path


def read_settings(name: str | Path) -> dict[str, Any]:
    """The settings in a YAML file. Raises `ValueError` for a file that is missing or holds something else."""
    path = Path(name)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)
    except FileNotFoundError:
        raise ValueError(f"--config {name}: no such file{near_file(path)}") from None
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
    return content


def near_file(path: Path) -> str:
    """A hint at a file of a similar name in the same folder."""
    folder = path if path.is_dir() else path.parent if path.parent.is_dir() else Path("configs")
    names = [str(p) for p in folder.glob("**/*.yaml") if p.is_file()] if folder.is_dir() else []
    close = difflib.get_close_matches(str(path), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


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
