"""What a configuration would cost: `/api/train/plan` from its settings, `/api/train/rehearse` from a few real steps."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from analysis_app.library import Library
from analysis_app.server.answers import answer
from analysis_app.server.routes.training import StartRequest
from analysis_app.steering import start_form
from analysis_app.steering.launch import Launcher
from lab.planning.sizes import size_of
from lab.runs import list_runs

LEVERS = ("precision", "attention", "loss", "dropout")


def routes(library: Library, launcher: Launcher) -> APIRouter:
    """The routes, over the runs of `library`."""
    router = APIRouter(prefix="/api/train")

    @router.post("/plan")
    def plan(asked: StartRequest) -> Response:
        """What the run would cost, from its settings alone, within a second: the model's shape and `vocab_size`,
        `parameters` by component, `flops_per_token`, `flops`, `tokens`, `epochs`, `memory` by part, `disk`; null where
        the settings do not determine it (a horizon in minutes, a text not read yet). Precision and kernels are those of
        the newest run.
        """
        content = start_form.content_of(asked.config, asked.overrides)
        found = size_of(content, levers=newest_levers(library)).as_dict()
        return answer(start_form.shape_of(content) | {"horizon": content.get("horizon", {})} | found)

    @router.post("/rehearse")
    def rehearse(asked: StartRequest) -> Response:
        """What the run would cost on this machine, measured over a few steps, as `python -m lab plan` does: half a
        minute. `forecasts` of minutes, peak memory and final loss, each with `value`, `low`, `high` (an interval that
        holds 8 times in 10) and `method`. The loss is forecast from this folder's finished runs on the same text where
        there are enough, else `unsaid` has the reason. 422 with all errors.
        """
        arguments = start_form.arguments(asked.config, asked.overrides)
        found = launcher.plan([*arguments, f"--run.root={library.root}"])
        kept = {name: found[name] for name in ("forecasts", "unsaid", "epochs")}
        return answer(kept | {"seconds": found["rehearsal"]["seconds"]})

    return router


def newest_levers(library: Library) -> dict[str, Any]:
    """Precision and kernels of the newest run that recorded them; empty where there is none."""
    for run in reversed(list_runs(library.root)):
        levers = run.status().levers
        found = {name: levers[name].get("value") for name in LEVERS if isinstance(levers.get(name), dict)}
        if all(isinstance(value, str) for value in found.values()) and len(found) == len(LEVERS):
            return found
    return {}
