"""Where the files of a run lie, and names that could lead elsewhere."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.runs.paths import MAX_NAME_LENGTH, NEWEST, RunPaths, check_name


@given(st.text())
def test_a_name_that_is_taken_stays_in_the_folder_of_runs(name: str) -> None:
    with suppress(ValueError):
        assert check_name(name) == name
        assert (Path("/runs") / name).resolve().parent == Path("/runs")


@pytest.mark.parametrize("name", ["", NEWEST, "..", "a/b", "a\\b", ".hidden", "a b", "x" * (MAX_NAME_LENGTH + 1), "-x"])
def test_a_name_that_cannot_be_used_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(ValueError, match=r"run name .* cannot be used: .+"):
        check_name(name)


def test_every_file_of_a_run_lies_inside_it_under_a_name_of_its_own(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "fox")
    places = [getattr(run, name) for name in dir(RunPaths) if name.endswith(("_path", "_dir"))]
    assert len(places) > 10
    assert len(set(places)) == len(places)
    assert {place.parent for place in places} == {run.path}
    assert run.name == "fox"
