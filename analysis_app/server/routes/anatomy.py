"""The routes of the anatomy, under `/api/` like all others."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from analysis_app.analyses.anatomy.parts import anatomy, inside
from analysis_app.analyses.anatomy.source_code import code_of
from analysis_app.library.runs import Library
from analysis_app.server.answers import Analysis, answer


class PartAsked(Analysis):
    """Which part of the model."""

    part: str = Field(description="its key, such as `embed`, `ln1`, `attn`, `mlp`, `logits`", max_length=40)
    layer: int = Field(0, description="of the block it stands in")
    head: int = Field(0, description="of attention")


def routes(library: Library) -> APIRouter:
    """What the model is made of, part by part, and the code of each."""
    router = APIRouter(prefix="/api")

    @router.post("/analyze/anatomy")
    def the_whole(asked: Analysis) -> Response:
        """Every part of the model in the order of its data's way, with shapes, parameters and the text's numbers."""
        return answer(anatomy(library, asked.run, asked.step, asked.text), asked.packed)

    @router.post("/analyze/anatomy_part")
    def one_part(asked: PartAsked) -> Response:
        """The activations inside one part, step by step."""
        where = {"layer": asked.layer, "head": asked.head}
        found = inside(library, asked.run, asked.step, asked.text, part=asked.part, **where)
        return answer(found, asked.packed)

    @router.get("/code/{name}")
    def code(name: str) -> Response:
        """A function that computes a part: its file, its line and its source."""
        return answer(code_of(name))

    return router
