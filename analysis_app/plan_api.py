"""What a configuration would cost, for whoever is choosing one: `POST /api/train/plan`.

Takes what `POST /api/train/start` takes, starts nothing and trains nothing, and answers within a second: `parameters`
by component, `flops_per_token`, `flops`, `tokens`, `epochs`, `memory` by part, `disk`; null where the settings alone do
not tell (a horizon in minutes, a text that nobody has read yet). Precision and kernels are those of the newest run.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from analysis_app import settings
from analysis_app.api import answer
from analysis_app.library import Library
from analysis_app.training import StartAsked
from lab.planning.sizes import size_of
from lab.runs import list_runs

LEVERS = ("precision", "attention", "loss", "dropout")


def routes(library: Library) -> APIRouter:
    """The route, over the runs of `library`."""
    router = APIRouter(prefix="/api/train")

    @router.post("/plan")
    def plan(asked: StartAsked) -> Response:
        """What it would cost."""
        content = settings.content_of(asked.config, asked.overrides)
        return answer(size_of(content, levers=newest_levers(library)).as_dict())

    return router


def newest_levers(library: Library) -> dict[str, Any]:
    """Precision and kernels that training chose here last; nothing where it never did."""
    for run in reversed(list_runs(library.root)):
        levers = run.status().levers
        found = {name: levers[name].get("value") for name in LEVERS if isinstance(levers.get(name), dict)}
        if all(isinstance(value, str) for value in found.values()) and len(found) == len(LEVERS):
            return found
    return {}
