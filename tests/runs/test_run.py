"""Making, finding and listing runs; names that must not be."""

from __future__ import annotations

import datetime
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.runs import Run, StatusWriter, create_run, list_runs, open_run
from lab.runs.paths import MAX_NAME_LENGTH, check_name


def start(run: Run) -> Run:
    StatusWriter(run).close()
    return run


def test_importing_is_instant() -> None:
    heavy = "{'torch', 'lightning', 'numpy', 'yaml', 'rich', 'safetensors'}"
    code = f"import sys, lab.runs; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_new_run_has_its_folders_and_a_dated_name(tmp_path: Path) -> None:
    before = datetime.date.today().isoformat()
    run = create_run(tmp_path / "deep" / "runs")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-[a-z]+-[a-z]+", run.name)
    assert before <= run.name[:10] <= datetime.date.today().isoformat()
    assert run.checkpoints_dir.is_dir()
    assert run.snapshots_dir.is_dir()
    assert run.control_dir.is_dir()


def test_default_names_do_not_touch_the_seeded_generator(tmp_path: Path) -> None:
    random.seed(1)
    expected = random.random()
    random.seed(1)
    names = {create_run(tmp_path).name for _ in range(30)}
    assert random.random() == expected
    assert len(names) == 30


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("../x", "directly in the runs folder"),
        ("/tmp/x", "directly in the runs folder"),
        ("a/b", "directly in the runs folder"),
        ("a\\b", "directly in the runs folder"),
        ("..", "directly in the runs folder"),
        (".", "directly in the runs folder"),
        (".hidden", "hidden"),
        ("-rf", "the first a letter or digit"),
        ("a b", "only the letters"),
        ("naïve", "only the letters"),
        ("a\nb", "only the letters"),
        ("a\n", "only the letters"),
        ("a\x00b", "only the letters"),
        ("last", "stands for the newest run"),
        ("x" * (MAX_NAME_LENGTH + 1), "101 characters, 100 are allowed"),
    ],
)
def test_names_that_cannot_be_used(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        create_run(tmp_path / "runs", name)
    assert not (tmp_path / "runs").exists()
    with pytest.raises(ValueError, match="no run"):
        open_run(name, tmp_path / "runs", names_only=True) if name != "last" else open_run(name, tmp_path)


@settings(deadline=None)
@given(st.text(max_size=20))
def test_a_good_name_stays_inside_the_folder(name: str) -> None:
    try:
        check_name(name)
    except ValueError:
        return
    assert os.path.normpath(os.path.join("/srv/runs", name)) == f"/srv/runs/{name}"


def test_an_existing_name_is_refused_and_its_files_stay(tmp_path: Path) -> None:
    run = create_run(tmp_path, "fox")
    run.metrics_path.write_text("precious\n")
    with pytest.raises(ValueError, match=r"exists already.*--run\.name.*--resume fox"):
        create_run(tmp_path, "fox")
    assert run.metrics_path.read_text() == "precious\n"


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is not a folder"):
        create_run(tmp_path / "file", "a")
    with pytest.raises(ValueError, match="is not a folder"):
        create_run(tmp_path / "file" / "deeper", "a")


def test_opening_by_name_by_path_and_by_last(tmp_path: Path) -> None:
    first, second = start(create_run(tmp_path, "first")), start(create_run(tmp_path, "second"))
    create_run(tmp_path, "never-started")
    assert open_run("first", tmp_path) == first
    assert open_run(first.path, "elsewhere") == first
    assert open_run("last", tmp_path) == second
    start(first)
    assert open_run("last", tmp_path) == first, "resuming makes a run the last one"


def test_a_path_relative_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run(tmp_path / "runs", "fox")
    monkeypatch.chdir(run.path)
    assert open_run(".").path == run.path
    with pytest.raises(ValueError, match="no run"):
        open_run(".", names_only=True)


def test_a_missing_run_names_those_there_are(tmp_path: Path) -> None:
    for name in ("shakespeare", "tinystories"):
        start(create_run(tmp_path, name))
    with pytest.raises(ValueError, match=r"no run 'shakespear'.*did you mean 'shakespeare'\?.*tinystories, shakes"):
        open_run("shakespear", tmp_path)
    with pytest.raises(ValueError, match=r"no run in .*nowhere.* yet.*python -m lab fit"):
        open_run("x", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="there is no run"):
        open_run("last", tmp_path / "nowhere")


def test_listing_is_by_start_and_keeps_the_damaged(tmp_path: Path) -> None:
    second, first = create_run(tmp_path, "a"), create_run(tmp_path, "b")
    start(first)
    start(second)
    (tmp_path / "notes").mkdir()
    (tmp_path / ".cache" / "checkpoints").mkdir(parents=True)
    (tmp_path / "file").touch()
    broken = create_run(tmp_path, "c")
    broken.status_path.write_text("{")
    assert [run.name for run in list_runs(tmp_path)] == ["b", "a", "c"]
    assert list_runs(tmp_path / "nowhere") == []


def test_a_run_reads_its_records(tmp_path: Path) -> None:
    run = create_run(tmp_path, "fox")
    assert run.data() is None
    assert run.config() is None
    run.data_path.write_text('{"corpus": "python"}')
    run.config_path.write_text("model: {n_layers: 4}\n")
    assert run.data() == {"corpus": "python"}
    assert run.config() == {"model": {"n_layers": 4}}
    assert (run.checkpoints(), run.snapshots(), run.events(), run.samples()) == ([], [], [], [])


def test_a_published_model_is_told_from_a_run(tmp_path: Path) -> None:
    (tmp_path / "gpt").mkdir()
    (tmp_path / "gpt" / "config.json").write_text("{}")
    for asked in ("gpt", tmp_path / "gpt"):
        with pytest.raises(ValueError, match=r"gpt is a published model, no run of this lab: .*lab generate .*gpt`"):
            open_run(asked, tmp_path)
    with pytest.raises(ValueError, match="there is no run in"):
        open_run("gpt", tmp_path, names_only=True)
