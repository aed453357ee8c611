"""`POST /api/generate`: text from a model, token by token, as JSON lines."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field

from analysis_app.analyses import generation
from analysis_app.analyses.declaration import WeightsRequest
from analysis_app.analyses.text import check_part
from analysis_app.library import Library
from analysis_app.server.answers import stream


class GenerateRequest(WeightsRequest):
    """The prompt, and how to sample; `layer` and `head` are accepted, as one selection is sent to every route."""

    text: str | None = Field(None, description="the prompt")
    after: list[int] = Field(
        [], description="ids generated before, to continue from", max_length=generation.MAX_NEW_TOKENS
    )
    max_tokens: int = 200
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 1337
    stop: str = Field("", description="generation ends where this text has been written", max_length=200)
    layer: int | None = Field(None, description="must be one of the model's, and changes nothing")
    head: int | None = Field(None, description="must be one of the model's, and changes nothing")


def routes(library: Library) -> APIRouter:
    """The route over the runs of `library`."""
    router = APIRouter(prefix="/api")

    @router.post("/generate", response_class=StreamingResponse)
    def generate(asked: GenerateRequest) -> StreamingResponse:
        """Generate text: a stream of JSON lines, `start`, a `token` each, `end`."""
        settings = asked.model_dump(exclude={"run", "step", "text", "after", "layer", "head"})
        opened = library.open(asked.run, asked.step)
        check_part(opened, asked.layer, asked.head)
        return stream(generation.generate(opened, asked.text, generation.Settings(**settings), asked.after))

    return router
