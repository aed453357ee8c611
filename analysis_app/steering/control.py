"""Commands to a run in training, and starting one: new, or where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis_app.library import ConflictError, Library, NotFoundError
from analysis_app.steering import start_form
from analysis_app.steering.launch import Launcher, Start
from lab.runs import Run
from lab.runs.control import command_problem, send_command, wait_for_answer
from lab.runs.next_commands import RESUMABLE
from lab.runs.paths import check_name
from lab.runs.run import check_new_run, new_name


def find_run(library: Library, launcher: Launcher, name: str) -> Run:
    """A run by its name, one that is only being prepared too. Raises `NotFoundError`."""
    try:
        run = library.run(name)
    except NotFoundError:
        if (started := launcher.known(name)) is None:
            raise
        return started
    if not isinstance(run, Run):
        raise NotFoundError(f"{name!r} is a published model: it was not trained here, so there is nothing to follow")
    return run


def start_run(
    library: Library, launcher: Launcher, config: str, overrides: Mapping[str, Any], name: str | None
) -> Start:
    """Check the settings with `fit --check`, then start a training in a process of its own.

    Raises `ValueError` with every problem of the settings, `ConflictError` where there is a run of that name.
    """
    arguments = start_form.arguments(config, overrides)
    name = new_name() if name is None else check_name(name)
    with launcher.claim(name):
        _refuse_taken(library, name)
        arguments += [f"--run.root={library.root}", f"--run.name={name}"]
        launcher.check(arguments)
        return launcher.launch(name, "new", arguments)


def resume_run(library: Library, launcher: Launcher, run: Run, steps: int | None) -> Start | None:
    """Start a stopped, failed or stale run again, with `steps` to a longer horizon; None where it is in training."""
    state = run.status().state
    if state not in RESUMABLE and not (state == "completed" and steps):
        return None
    with launcher.claim(run.name):
        arguments = [f"--resume={run.name}", f"--run.root={library.root}"]
        if steps is not None:  # else the settings are those that it ran with
            launcher.check(arguments := [*arguments, f"--horizon.steps={steps}"])
        return launcher.launch(run.name, "resume", arguments)


def send(run: Run, command: str, wait: float, **args: Any) -> dict[str, Any]:
    """Send a command; `answer` is the trainer's event where it comes within `wait` seconds, else None.

    Raises `ValueError` for arguments that cannot be, `ConflictError` where the run is not in training.
    """
    if problem := command_problem(command, args):
        raise ValueError(problem)
    try:
        identity = send_command(run, command, **args)
    except ValueError as error:
        raise ConflictError(str(error)) from None
    found = wait_for_answer(run, identity, wait) if wait else None
    return {"run": run.name, "command": command, "id": identity, "answer": found and found.as_row()}


def _refuse_taken(library: Library, name: str) -> None:
    try:
        run = library.run(name)
    except NotFoundError:
        return check_new_run(library.root, name)
    state = run.status().state if isinstance(run, Run) else "published"
    raise ConflictError(f"run {name!r} exists already and is {state}: choose another name, or go on with it")
