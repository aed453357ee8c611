"""`POST /api/tokens`: a prompt as tokens; `POST /api/generate`: text from a model, token by token, as JSON lines."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from analysis_app.analyses import generation
from analysis_app.analyses.declaration import TextRequest, WeightsRequest
from analysis_app.analyses.text import MAX_TEXT, check_part
from analysis_app.analyses.token_labels import labels
from analysis_app.library import Library
from analysis_app.server.answers import answer, stream


class GenerateRequest(WeightsRequest, generation.Settings):
    """The prompt, and how to sample; `layer` and `head` are accepted, as one selection is sent to every route."""

    text: str | None = Field(None, description="the prompt")
    after: list[int] = Field(
        [], description="ids generated before, to continue from", max_length=generation.MAX_NEW_TOKENS
    )
    layer: int | None = Field(None, description="must be one of the model's, and changes nothing")
    head: int | None = Field(None, description="must be one of the model's, and changes nothing")


def routes(library: Library) -> APIRouter:
    """The routes over the runs of `library`."""
    router = APIRouter(prefix="/api")

    @router.post("/tokens")
    def tokens(asked: TextRequest) -> Response:
        """The tokens of a text, however many, and what would be left out of it as a prompt."""
        opened, text = library.open(asked.run, asked.step), asked.text or ""
        found = labels(opened.tokenizer, opened.tokenizer.encode(text[:MAX_TEXT]).tolist())
        notes, context = generation.prompt_notes(opened, text), opened.model.config.context_length
        return answer({"tokens": found, "context_length": context, "prompt_notes": notes})

    @router.post("/generate", response_class=StreamingResponse)
    def generate(asked: GenerateRequest) -> StreamingResponse:
        """Generate text: a stream of JSON lines, `start`, a `token` each, `end`."""
        settings = generation.Settings(**asked.model_dump(include=set(generation.Settings.model_fields)))
        opened = library.open(asked.run, asked.step)
        check_part(opened, asked.layer, asked.head)
        return stream(generation.generate(opened, asked.text, settings, asked.after))

    return router
