"""`POST /api/analyze/{name}`: a route for each declared analysis (`analysis_app.analyses.declaration`); and
`GET /api/code/{name}`: the function that computes a part of the model.

    curl -s localhost:7861/api/analyze/attention -H 'Content-Type: application/json' \\
         -d '{"run": "last", "text": "To be or not", "layer": 0}'

A long analysis answers with JSON lines where the request says `"progress": true`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, StreamingResponse

import analysis_app.analyses  # noqa: F401 (declares all of them)
from analysis_app.analyses.anatomy.source_code import code_of
from analysis_app.analyses.declaration import ANALYSES, Analysis
from analysis_app.library import Library
from analysis_app.server.answers import answer, stream
from analysis_app.server.jobs import follow


def routes(library: Library) -> APIRouter:
    """The routes over the runs of `library`."""
    router = APIRouter(prefix="/api")
    for declared in ANALYSES.values():
        router.add_api_route(
            f"/analyze/{declared.name}",
            _endpoint(declared, library),
            methods=["POST"],
            name=declared.name,
            description=declared.about,
            response_class=StreamingResponse if declared.is_stream else JSONResponse,
        )

    @router.get("/code/{name}")
    def code(name: str) -> Response:
        """A function that computes a part: its file, its line and its source."""
        return answer(code_of(name))

    return router


def _endpoint(declared: Analysis, library: Library) -> Callable[[Any], Response]:
    def endpoint(asked: Any) -> Response:
        packed = getattr(asked, "packed", False)
        if declared.is_long and asked.progress:
            return stream(follow(lambda progress: declared.compute(library, asked, progress)), packed)
        found = declared.compute(library, asked)
        return stream(found, packed) if isinstance(found, Iterator) else answer(found, packed)

    endpoint.__annotations__ = {"asked": declared.request, "return": Response}
    return endpoint
