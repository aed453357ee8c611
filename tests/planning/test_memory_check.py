"""A step that needs more memory than there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.__main__ import main
from lab.planning.memory_check import INSTRUMENT_BYTES, PROCESS_BYTES
from tests.planning.test_plan import _short, args, desk  # noqa: F401


def test_what_cannot_fit_is_told_what_does(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "lab.planning.memory_check.total_memory", lambda device: PROCESS_BYTES + INSTRUMENT_BYTES + 6_000_000
    )
    assert main(["plan", *args(desk, "--data.batch_size", "64")]) == 2
    assert re.search(r"with data.batch_size \d+ and data.tokens_per_step 1024 it fits", capsys.readouterr().err)
    monkeypatch.setattr(
        "lab.planning.memory_check.total_memory", lambda device: PROCESS_BYTES + INSTRUMENT_BYTES + 300_000
    )
    monkeypatch.setattr("lab.planning.memory_check.PARTS", (0.25,))
    assert main(["plan", *args(desk, "--data.batch_size", "2")]) == 2
    assert "would fit" in capsys.readouterr().err
