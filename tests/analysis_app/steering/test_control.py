"""Commands to a run, and runs that can and cannot be started."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis_app.library import ConflictError, Library, NotFoundError
from analysis_app.steering.control import find_run, resume_run, send, start_run
from analysis_app.steering.launch import Launcher, Start
from lab.runs import Run, StatusWriter, create_run, open_run


class Recorded(Launcher):
    """Records what it would start, and starts no process."""

    def check(self, arguments: list[str]) -> None:
        """No mistakes."""

    def launch(self, name: str, kind: str, arguments: list[str]) -> Start:
        """What would be started."""
        return Start(name, kind, 1, 0.0, arguments, True, [])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that was stopped."""
    made = create_run(tmp_path / "runs", "fox")
    with StatusWriter(made) as status:
        status.update(state="stopped", step=5, total_steps=10)
    return made


def test_a_new_run_is_started_under_its_name(run: Run) -> None:
    root = run.path.parent
    start = start_run(Library(root), Recorded(root), "quickstart", {"steps": 5}, "new")
    assert (start.run, start.kind) == ("new", "new")
    assert {"--run.name=new", "--horizon.steps=5", f"--run.root={root}"} <= set(start.command)
    with pytest.raises(ConflictError, match="exists already and is stopped"):
        start_run(Library(root), Recorded(root), "quickstart", {}, "fox")


def test_a_stopped_run_goes_on_where_it_was_and_a_completed_one_needs_more_steps(run: Run) -> None:
    root = run.path.parent
    start = resume_run(Library(root), Recorded(root), run, None)
    assert start is not None
    assert start.command == ["--resume=fox", f"--run.root={root}"]
    with StatusWriter(run) as status:
        status.update(state="completed", step=10)
    assert resume_run(Library(root), Recorded(root), run, None) is None
    longer = resume_run(Library(root), Recorded(root), run, 20)
    assert longer is not None
    assert "--horizon.steps=20" in longer.command


def test_a_command_that_cannot_be_carried_out_says_why(run: Run) -> None:
    with pytest.raises(ConflictError, match="stopped"):
        send(run, "pause", 0)
    with pytest.raises(ValueError, match="value"):
        send(run, "lr", 0, value=-1)


def test_only_runs_that_were_trained_here_can_be_followed(run: Run) -> None:
    root = run.path.parent
    assert find_run(Library(root), Launcher(root), "fox").path == open_run("fox", root).path
    with pytest.raises(NotFoundError):
        find_run(Library(root), Launcher(root), "nothing")
