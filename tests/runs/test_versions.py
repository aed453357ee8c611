"""Versions and commit, compared with what the libraries and git say themselves."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

import lab
from lab.runs.versions import git_state, versions


def test_versions() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["lab"] == lab.__version__
    assert found["torch"] == torch.__version__
    assert found["numpy"] == np.__version__


def test_the_commit() -> None:
    folder = Path(lab.__file__).parents[1]
    git = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True)
    if git.returncode != 0:
        pytest.skip("this is no git working copy")
    state = git_state()
    assert state is not None
    assert state["commit"] == git.stdout.strip()
    assert isinstance(state["dirty"], bool)


def test_no_working_copy_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "__file__", str(tmp_path / "lab" / "__init__.py"))
    assert git_state() is None
    (tmp_path / ".git").mkdir()  # not a repository, and git says so
    assert git_state() is None
    monkeypatch.setenv("PATH", "")  # no git at all
    assert git_state() is None
