"""Cursors: as text and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis_app.library.cursor import Place, read_delta
from lab.runs import MetricsWriter, Run, create_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path, "followed")


def test_a_cursor_is_read_back_as_it_was_written(run: Run) -> None:
    writer = MetricsWriter(run)
    for step in range(5):
        writer.write(step, 10 * step, step / 2, {"train/loss": 4.0})
    place = read_delta(run, Place()).place
    assert Place.read(str(place)) == place != Place()
    assert read_delta(run, place).columns == {}
    with pytest.raises(ValueError, match="cursor"):
        Place.read(str(place)[:-7])
