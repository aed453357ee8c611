"""Starting a run and steering it: the routes under `/api/train/`.

    curl -s localhost:7861/api/train/start -H 'Content-Type: application/json' \\
         -d '{"config": "quickstart", "overrides": {"steps": 200, "lr": 1e-3}, "run": "mine"}'

A command (`pause`, `stop`, …) gives 202 {"run", "command", "id", "answer"}. The trainer answers after its step with an
event `command_answered` or `command_refused` of that `id`; `answer` is that event where it came within `wait`, else
null. 409 where the run is not in training, with the reason.
"""

from __future__ import annotations

import shlex
from typing import Any

from fastapi import APIRouter, Response
from pydantic import Field

from analysis_app.analyses.declaration import Request
from analysis_app.library import Library
from analysis_app.server.answers import answer
from analysis_app.steering import control, start_form
from analysis_app.steering.launch import Launcher, Start
from analysis_app.steering.status import run_status
from lab.runs.paths import NEWEST


class DismissRequest(Request):
    """Which start."""

    run: str = Field(description="the name that the run was to have", max_length=200)


class CommandRequest(Request):
    """Which run."""

    run: str = Field(description="a run's name, or `last`", max_length=200)
    wait: float = Field(0, description="seconds to wait for the trainer's answer", ge=0, le=60)


class ResumeRequest(CommandRequest):
    """And its new length."""

    steps: int | None = Field(None, description="a longer horizon, for a run that starts again", ge=1, le=10**12)


class SampleRequest(CommandRequest):
    """And the prompt."""

    prompt: str | None = Field(None, description="left out: the prompts of the run's own samples", max_length=10_000)


class RateRequest(CommandRequest):
    """And the learning rate."""

    value: float = Field(description="factor on the schedule's learning rate: 1 is as planned", ge=0, le=1000)


class StartRequest(Request):
    """What to train."""

    config: str = Field(description="name of a configuration, such as `quickstart`", max_length=200)
    overrides: dict[str, int | float | str | bool | None] = Field({}, description="known settings and their values")
    run: str | None = Field(None, description="its name; left out: the date and two words", max_length=200)


def routes(library: Library, launcher: Launcher) -> APIRouter:
    """The routes over the runs of `library`, and of those that `launcher` starts."""
    router = APIRouter(prefix="/api/train")
    _add_starts(router, library, launcher)
    _add_commands(router, library, launcher)
    return router


def _add_starts(router: APIRouter, library: Library, launcher: Launcher) -> None:
    @router.get("/options")
    def options() -> Response:
        """What can be started (`configurations`), and with which `settings`."""
        return answer(start_form.options())

    @router.post("/start", status_code=202)
    def start(asked: StartRequest) -> Response:
        """Check the settings as `fit --check` does, some seconds, then start a training in a process of its own:
        {"run", "kind": "new", "pid", "state": "starting"}. 422 with all errors; 409 where the run exists already.
        """
        return _started(control.start_run(library, launcher, asked.config, asked.overrides, asked.run))

    @router.post("/dismiss")
    def dismiss(asked: DismissRequest) -> Response:
        """Forget a start that came to nothing, which pages show until then."""
        launcher.dismiss(asked.run)
        return answer({"run": asked.run})

    @router.get("/status")
    def status(run: str = NEWEST) -> Response:
        """The present status of a run (`analysis_app.steering.status`), of one that is still being prepared too."""
        found = control.find_run(library, launcher, run)
        return answer(run_status(found, launcher.last(found.name)))


def _started(start: Start) -> Response:
    found = {"run": start.run, "kind": start.kind, "pid": start.pid, "state": "starting"}
    return answer(found | {"command": shlex.join(start.command)}, status=202)


def _add_commands(router: APIRouter, library: Library, launcher: Launcher) -> None:
    def send(asked: CommandRequest, command: str, **args: Any) -> Response:
        run = control.find_run(library, launcher, asked.run)
        return answer(control.send(run, command, asked.wait, **args), status=202)

    @router.post("/pause", status_code=202)
    def pause(asked: CommandRequest) -> Response:
        """Pause between two steps."""
        return send(asked, "pause")

    @router.post("/resume", status_code=202)
    def resume(asked: ResumeRequest) -> Response:
        """Continue after a pause; a run that is stopped, failed or stale starts again as `fit --resume` would, with
        `steps` to a longer horizon: {"run", "kind": "resume", "pid", "state": "starting"}.
        """
        start = control.resume_run(library, launcher, control.find_run(library, launcher, asked.run), asked.steps)
        return send(asked, "resume") if start is None else _started(start)

    @router.post("/stop", status_code=202)
    def stop(asked: CommandRequest) -> Response:
        """Save a checkpoint and end."""
        return send(asked, "stop")

    @router.post("/checkpoint", status_code=202)
    def checkpoint(asked: CommandRequest) -> Response:
        """Save a checkpoint now."""
        return send(asked, "checkpoint")

    @router.post("/sample", status_code=202)
    def sample(asked: SampleRequest) -> Response:
        """Write a sample now."""
        return send(asked, "sample", **({} if asked.prompt is None else {"prompt": asked.prompt}))

    @router.post("/lr", status_code=202)
    def lr(asked: RateRequest) -> Response:
        """Multiply the schedule's learning rate from the next step on."""
        return send(asked, "lr", value=asked.value)
