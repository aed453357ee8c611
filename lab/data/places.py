"""Where the files of a run's data lie: settings name them as seen from the folder in which a command was given."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.files import as_path

FOLDERS = ("cache_dir", "data_dir")


def from_folder(settings: Mapping[str, Any], folder: str | None) -> dict[str, Any]:
    """The settings of `data` as they are seen from here, where they were given in `folder` (None: not known).

    A relative path is one in that folder, and becomes absolute, where there is such a file now; else it stays as it is:
    a project that was moved as a whole is found from its new place.
    """
    found = dict(settings)
    if folder is None or folder == os.getcwd():
        return found
    path = settings.get("path")
    if isinstance(path, list):
        found["path"] = [_seen(one, folder) for one in path]
    elif path is not None:
        found["path"] = _seen(path, folder)
    for name in (*FOLDERS, "tokenizer"):
        value = settings.get(name)
        if isinstance(value, str) and (name in FOLDERS or value.endswith(".json")):
            found[name] = _seen(value, folder)
    return found


def same_places(before: Any, now: Any, folder: str | None) -> bool:
    """Whether a path (or a list of them) that was given in `folder` and one that is given here name the same files."""
    return _resolved(before, folder or os.getcwd()) == _resolved(now, os.getcwd())


def _seen(name: Any, folder: str) -> Any:
    path = as_path(str(name))
    if path.is_absolute() or not str(name).strip():
        return name
    there = Path(folder) / path
    if os.path.lexists(there):
        return str(there)
    pattern = os.path.join(glob.escape(folder), path)
    return pattern if glob.has_magic(str(path)) and any(glob.iglob(pattern, recursive=True)) else name


def _resolved(paths: Any, folder: str) -> list[str] | None:
    if paths is None:
        return None
    listed = paths if isinstance(paths, list) else [paths]
    return [os.path.realpath(os.path.join(folder, as_path(str(one)))) for one in listed]
