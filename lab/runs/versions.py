"""What produced a run: versions of the libraries and the commit of the code."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import lab

PACKAGES = ("torch", "lightning", "numpy", "tokenizers", "tiktoken", "safetensors")


def versions() -> dict[str, str]:
    """Versions of Python, the lab and what its results depend on; nothing is imported for it."""
    found = {"python": platform.python_version(), "lab": lab.__version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state() -> dict[str, Any] | None:
    """`{"commit": …, "dirty": bool}` of the working copy this code runs from; None when it is no working
    copy.
    """
    folder = Path(lab.__file__).resolve().parents[1]
    if not (folder / ".git").exists():
        return None
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {
            "commit": commit,
            "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
