"""The single records of a run: `data.json`, `predictions.json`, `config.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from lab.files import plain, write_whole


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a JSON file as a whole; tensors, arrays and paths may be in it, NaN becomes null."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    write_whole(path, orjson.dumps(content, default=plain, option=options))


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file, None without a file. Raises `ValueError` if it holds anything else."""
    try:
        content = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{path} is damaged: not JSON") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it does not hold an object")
    return content


def read_config(path: Path) -> dict[str, Any] | None:
    """The mapping in a YAML file, None without a file. Raises `ValueError` if it holds anything else."""
    import yaml  # 15 ms that most readers of a run do not need

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ValueError(f"{path} is damaged: not YAML") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it does not hold a mapping")
    return content
