"""What is new in a folder of runs, and the starts that came to nothing."""

from __future__ import annotations

from pathlib import Path

from analysis_app.library import Library
from analysis_app.steering.folder import Folder
from analysis_app.steering.launch import Launcher
from lab.files import write_json
from lab.runs import StatusWriter, create_run
from lab.runs.processes import this_machine


def test_only_what_has_changed_is_told(tmp_path: Path) -> None:
    folder = Folder(Library(tmp_path), Launcher(tmp_path))
    with StatusWriter(create_run(tmp_path, "one")), StatusWriter(create_run(tmp_path, "two")) as two:
        before = folder._now()
        first = before.since(None)
        assert first is not None
        assert {run.name for run in first["runs"]} == {*first["order"]} == {"one", "two"}
        assert folder._now().since(before) is None
        two.update(state="running", step=7)
        news = folder._now().since(before)
        assert news is not None
        assert [(run.name, run.step) for run in news["runs"]] == [("two", 7)]


def test_a_start_that_failed_stays_until_it_is_dismissed(tmp_path: Path) -> None:
    launcher = Launcher(tmp_path)
    folder = Folder(Library(tmp_path), launcher)
    record = {"run": "odd", "kind": "new", "pid": 1, "wall": 5.0, "command": ["fit"], "alive": True, "log": []}
    (tmp_path / ".starts").mkdir()
    write_json(
        tmp_path / ".starts" / "odd.json", record | {"machine": this_machine(), "process_start": "another process"}
    )
    (tmp_path / ".starts" / "odd.log").write_text("error: the horizon is too short\n")
    (failed,) = folder._now().failed_starts
    assert (failed["run"], failed["reason"]) == ("odd", "the horizon is too short")
    launcher.dismiss("odd")
    assert folder._now().failed_starts == []
    assert launcher.last("odd") is None
