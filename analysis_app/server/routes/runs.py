"""The runs, their checkpoints and their loss curves: `GET /api/health`, `/api/runs`, `/api/runs/{name}/…`."""

from __future__ import annotations

from fastapi import APIRouter, Response

from analysis_app.analyses.curves import timeline
from analysis_app.library import Library
from analysis_app.server.answers import answer
from lab.runs import Run


def routes(library: Library) -> APIRouter:
    """The routes over the runs of `library`."""
    router = APIRouter(prefix="/api")

    @router.get("/health")
    def health() -> Response:
        """Whether the server answers."""
        return answer({"status": "ok", "runs": len(library.runs())})

    @router.get("/runs")
    def runs() -> Response:
        """All runs, the newest first."""
        return answer(library.runs())

    @router.get("/runs/{name}/checkpoints")
    def checkpoints(name: str) -> Response:
        """Every checkpoint and snapshot of a run, from the facts beside them; no weights are read."""
        return answer(library.weights(name))

    @router.get("/runs/{name}/timeline")
    def run_timeline(name: str, packed: bool = False) -> Response:
        """The run's losses over its steps, and the steps worth a look."""
        run = library.run(name)
        return answer(timeline(run) if isinstance(run, Run) else {"curves": {}, "landmarks": []}, packed)

    return router
