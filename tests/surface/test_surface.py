"""Commands, routes, messages, events, metrics, files and hooks are those of the checked-in lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.surface.lists import FOLDER, LISTS, difference, stored


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the lists' runs are made, once for all of them."""
    return tmp_path_factory.mktemp("surface")


@pytest.mark.slow
@pytest.mark.parametrize("name", LISTS)
def test_the_surface_is_as_checked_in(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # the stored run's text is at a relative path
    changed = difference(name, LISTS[name](folder))
    assert not changed, (
        f"the surface has changed (tests/surface/lists/{name}.txt). If that is meant, for all who rely on it: "
        f"python -m tests.surface.record {name}\n{changed}"
    )


def test_lists_are_sorted_and_whole() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(LISTS)
    for name in LISTS:
        lines = stored(name)
        assert lines, name
        assert len(set(lines)) == len(lines), name


def test_every_metric_that_a_run_writes_is_declared() -> None:
    lines = stored("metrics")
    declared = {line.split(": ")[0] for line in lines if not line.endswith("(written)")}
    written = {line.split("  (")[0] for line in lines if line.endswith("(written)")}
    assert {name.split(".")[0] for name in written} <= declared
