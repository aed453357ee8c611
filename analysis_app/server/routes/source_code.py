"""`GET /api/code/{name}`: the source of a function that computes a part of the model."""

from __future__ import annotations

from fastapi import APIRouter, Response

from analysis_app.analyses.anatomy.source_code import code_of
from analysis_app.library import Library
from analysis_app.server.answers import answer


def routes(library: Library) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/api")

    @router.get("/code/{name}")
    def code(name: str) -> Response:
        """A function that computes a part: its file, its line and its source."""
        return answer(code_of(name))

    return router
