"""Starting a run and steering it: the routes under `/api/train/`.

    curl -s localhost:7861/api/train/start -H 'Content-Type: application/json' \\
         -d '{"config": "quickstart", "overrides": {"steps": 200, "lr": 1e-3}, "run": "mine"}'

`POST /api/train/start` {"config", "overrides", "run"} → 202 {"run", "kind": "new", "pid", "state": "starting"}. The
configuration is one of `GET /api/train/options`, overrides are its `settings` (`preset`, `corpus`, `file`, `steps`,
`minutes`, `batch_size`, `lr`, `seed`, …). `fit --check` judges first, in some seconds: 422 with all it has to say.
409 where the run is there already. What it would cost: `analysis_app.server.routes.plan`.

`POST /api/train/{pause,resume,stop,checkpoint,sample,lr}` {"run", "wait": seconds} (and `sample` a "prompt", `lr` a
"value": the factor on the schedule) → 202 {"run", "command", "id", "answer"}. The trainer answers after its step with
an event `command_answered` or `command_refused` of that `id`; `answer` is that event where it came within `wait`, else
null. 409 where nobody trains the run, with the reason. `resume` of a run that was stopped, or whose trainer has died,
starts it again as `fit --resume` would: {"run", "kind": "resume", "pid", "state": "starting"}; with "steps" it gets a
longer horizon.

`GET /api/train/status?run=NAME` → the `status` of the WebSocket (`analysis_app.steering.status`), of a run that is
still being prepared too; its `start` holds the last lines of the log.
"""

from __future__ import annotations

import shlex
from typing import Any

import yaml
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from analysis_app.library.runs import ConflictError, Library, NotFoundError
from analysis_app.server.answers import answer
from analysis_app.steering import start_form as settings
from analysis_app.steering.launch import Launcher, Start
from analysis_app.steering.status import RESUMABLE, situation
from lab.runs import Run
from lab.runs.control import command_problem, send_command, wait_for_answer
from lab.runs.paths import NEWEST, check_name
from lab.runs.run import check_new_run, new_name


class Steered(BaseModel):
    """Which run."""

    model_config = ConfigDict(extra="forbid")
    run: str = Field(description="a run's name, or `last`", max_length=200)
    wait: float = Field(0, description="seconds to wait for the trainer's answer", ge=0, le=60)


class ResumeAsked(Steered):
    """Which run, and how long it shall be."""

    steps: int | None = Field(None, description="a longer horizon, for a run that starts again", ge=1, le=10**12)


class SampleAsked(Steered):
    """What to go on with."""

    prompt: str | None = Field(None, description="left out: the prompts of the run's own samples", max_length=10_000)


class RateAsked(Steered):
    """How fast."""

    value: float = Field(description="factor on the schedule's learning rate: 1 is as planned", ge=0, le=1000)


class StartAsked(BaseModel):
    """What to train."""

    model_config = ConfigDict(extra="forbid")
    config: str = Field(description="name of a configuration, such as `quickstart`", max_length=200)
    overrides: dict[str, int | float | str | bool | None] = Field({}, description="known settings and their values")
    run: str | None = Field(None, description="its name; left out: the date and two words", max_length=200)


def routes(library: Library, launcher: Launcher) -> APIRouter:
    """The routes over the runs of `library`, and of those that `launcher` starts."""
    router = APIRouter(prefix="/api/train")
    _add_starts(router, library, launcher)
    _add_commands(router, library, launcher)
    return router


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


def _add_starts(router: APIRouter, library: Library, launcher: Launcher) -> None:
    @router.get("/options")
    def options() -> Response:
        """What can be started, and with which settings."""
        return answer(_options())

    @router.post("/start", status_code=202)
    def start(asked: StartAsked) -> Response:
        """Check the settings, then start a training of its own."""
        arguments = settings.arguments(asked.config, asked.overrides)
        name = new_name() if asked.run is None else check_name(asked.run)
        with launcher.claim(name):
            _refuse_taken(library, name)
            place = [f"--run.root={library.root}", f"--run.name={name}"]
            launcher.check([*arguments, *place])
            return _started(launcher.launch(name, "new", [*arguments, *place]))

    @router.get("/status")
    def status(run: str = NEWEST) -> Response:
        """How a run is doing."""
        found = find_run(library, launcher, run)
        return answer(situation(found, launcher.last(found.name)))


def _options() -> dict[str, Any]:
    found = []
    for name, path in settings.configurations().items():
        lines = path.read_text(encoding="utf-8").splitlines()
        about = [line.lstrip("# ") for line in lines if line.startswith("#")][1:]
        found.append({"name": name, "about": " ".join(about).strip(), "settings": settings.content_of(name, {})})
    known = {
        name: {"flag": s.flag, "kind": s.kind, "what": s.what, "least": s.least, "most": s.most, "choices": s.choices}
        for name, s in settings.SETTINGS.items()
    }
    shapes = [
        {"name": name, **yaml.safe_load(path.read_text(encoding="utf-8"))} for name, path in settings.presets().items()
    ]
    return {"configurations": found, "presets": shapes, "settings": known, "files": settings.own_files()}


def _refuse_taken(library: Library, name: str) -> None:
    try:
        run = library.run(name)
    except NotFoundError:
        return check_new_run(library.root, name)
    state = run.status().state if isinstance(run, Run) else "published"
    raise ConflictError(f"run {name!r} exists already and is {state}: choose another name, or go on with it")


def _started(start: Start) -> Response:
    found = {"run": start.run, "kind": start.kind, "pid": start.pid, "state": "starting"}
    return answer(found | {"command": shlex.join(start.command)}, status=202)


def _add_commands(router: APIRouter, library: Library, launcher: Launcher) -> None:
    def ask(asked: Steered, command: str, **args: Any) -> Response:
        run = find_run(library, launcher, asked.run)
        if problem := command_problem(command, args):
            raise ValueError(problem)
        try:
            identity = send_command(run, command, **args)
        except ValueError as error:
            raise ConflictError(str(error)) from None
        found = wait_for_answer(run, identity, asked.wait) if asked.wait else None
        return answer({"run": run.name, "command": command, "id": identity, "answer": found}, status=202)

    @router.post("/pause", status_code=202)
    def pause(asked: Steered) -> Response:
        """Stand still between two steps."""
        return ask(asked, "pause")

    @router.post("/resume", status_code=202)
    def resume(asked: ResumeAsked) -> Response:
        """Go on: after a pause, or in a new process where the old one has stopped or died."""
        run = find_run(library, launcher, asked.run)
        state = run.status().state
        if state not in RESUMABLE and not (state == "completed" and asked.steps):
            return ask(asked, "resume")
        with launcher.claim(run.name):
            arguments = [f"--resume={run.name}", f"--run.root={library.root}"]
            if asked.steps is not None:  # else the settings are those that it ran with
                launcher.check(arguments := [*arguments, f"--horizon.steps={asked.steps}"])
            return _started(launcher.launch(run.name, "resume", arguments))

    @router.post("/stop", status_code=202)
    def stop(asked: Steered) -> Response:
        """Save and end."""
        return ask(asked, "stop")

    @router.post("/checkpoint", status_code=202)
    def checkpoint(asked: Steered) -> Response:
        """Save now."""
        return ask(asked, "checkpoint")

    @router.post("/sample", status_code=202)
    def sample(asked: SampleAsked) -> Response:
        """Let the model write now."""
        return ask(asked, "sample", **({} if asked.prompt is None else {"prompt": asked.prompt}))

    @router.post("/lr", status_code=202)
    def lr(asked: RateAsked) -> Response:
        """Multiply the schedule's learning rate from the next step on."""
        return ask(asked, "lr", value=asked.value)
