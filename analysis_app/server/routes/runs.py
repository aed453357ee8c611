"""The runs, their checkpoints, loss curves and metrics: `GET /api/health`, `/api/runs`, `/api/runs/{name}/…`."""

from __future__ import annotations

from fastapi import APIRouter, Response

from analysis_app.analyses.curves import timeline
from analysis_app.library import Library
from analysis_app.library.cursor import Place, read_delta
from analysis_app.server.answers import answer
from analysis_app.steering.control import find_run
from analysis_app.steering.launch import Launcher
from lab.runs import Run


def routes(library: Library, launcher: Launcher) -> APIRouter:
    """The routes over the runs of `library`, and of those that `launcher` has started."""
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

    @router.get("/runs/{name}/metrics")
    def metrics(name: str, cursor: str = "") -> Response:
        """Metrics, events and samples after a cursor, as columns; without a cursor from the start. What the WebSocket
        sends (`analysis_app.server.websocket`), on request.
        """
        run, place = find_run(library, launcher, name), Place.read(cursor)
        delta = read_delta(run, place)
        reset = delta.reset or place == Place()
        if delta.reset:
            delta = read_delta(run, Place())
        found = {"columns": delta.columns, "events": delta.events, "samples": delta.samples, "rewind": delta.rewind}
        return answer(found | {"cursor": str(delta.place), "reset": reset, "more": delta.behind})

    return router
