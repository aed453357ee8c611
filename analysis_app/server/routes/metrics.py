"""`GET /api/runs/{name}/metrics?cursor=`: what the WebSocket sends (`analysis_app.server.websocket`), on request."""

from __future__ import annotations

from fastapi import APIRouter, Response

from analysis_app.library import Library
from analysis_app.server.answers import answer
from analysis_app.steering.control import find_run
from analysis_app.steering.cursor import Place, read_delta
from analysis_app.steering.launch import Launcher


def routes(library: Library, launcher: Launcher) -> APIRouter:
    """The route over the runs of `library`, and of those that `launcher` has started."""
    router = APIRouter()

    @router.get("/api/runs/{name}/metrics")
    def metrics(name: str, cursor: str = "") -> Response:
        """Metrics, events and samples after a cursor, as columns; without a cursor from the start."""
        run, place = find_run(library, launcher, name), Place.read(cursor)
        delta = read_delta(run, place)
        reset = delta.reset or place == Place()
        if delta.reset:
            delta = read_delta(run, Place())
        found = {"columns": delta.columns, "events": delta.events, "samples": delta.samples, "rewind": delta.rewind}
        return answer(found | {"cursor": str(delta.place), "reset": reset, "more": delta.behind})

    return router
