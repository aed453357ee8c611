"""The routes of Through time: a text at every snapshot of a run, as JSON lines, and the run's own curves."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from analysis_app.analyses.curves import timeline
from analysis_app.analyses.through_time import Timeline
from analysis_app.library.runs import Library
from analysis_app.server.answers import answer, lines
from lab.runs import Run


class TimeAsked(BaseModel):
    """Which text, through which run."""

    model_config = ConfigDict(extra="forbid")
    run: str = Field(description="a run's name, or `last`", max_length=200)
    text: str | None = Field(None, description="left out: the beginning of the run's own validation text")
    compute: bool = Field(False, description="open every snapshot, where the text is none of the run's probe texts")
    packed: bool = Field(False, description="arrays as base64 instead of nested lists")


def routes(library: Library) -> APIRouter:
    """The routes over the runs of `library`."""
    router, films = APIRouter(prefix="/api"), Timeline(library)

    @router.post("/analyze/time", response_class=StreamingResponse)
    def time(asked: TimeAsked) -> StreamingResponse:
        """A text at every snapshot: a stream of JSON lines, `start`, a `frame` or a `problem` each, `end`.

        Patterns are bytes in square-root steps: probability = (value / 255)². Closing the connection ends the
        computing; what was computed is kept.
        """
        events = films.film(asked.run, asked.text, asked.compute)
        return StreamingResponse(lines(events, asked.packed), media_type="application/x-ndjson")

    @router.get("/runs/{name}/timeline")
    def run_timeline(name: str, packed: bool = False) -> Response:
        """The run's losses over its steps, and the steps worth a look."""
        run = library.run(name)
        return answer(timeline(run) if isinstance(run, Run) else {"curves": {}, "landmarks": []}, packed)

    return router
