"""A fresh run to write into."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.runs import Run, create_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path / "runs", "fox")
