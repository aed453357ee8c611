"""`POST /api/tokens`: how a run's tokenizer splits a text."""

from __future__ import annotations

from fastapi import APIRouter, Response

from analysis_app.analyses.declaration import TextRequest
from analysis_app.analyses.generation import prompt_notes
from analysis_app.analyses.text import MAX_TEXT
from analysis_app.analyses.token_labels import labels
from analysis_app.library import Library
from analysis_app.server.answers import answer


def routes(library: Library) -> APIRouter:
    """The route over the runs of `library`."""
    router = APIRouter(prefix="/api")

    @router.post("/tokens")
    def tokens(asked: TextRequest) -> Response:
        """The tokens of a text, however many, and what would be left out of it as a prompt."""
        opened, text = library.open(asked.run, asked.step), asked.text or ""
        found = labels(opened.tokenizer, opened.tokenizer.encode(text[:MAX_TEXT]).tolist())
        context = opened.model.config.context_length
        return answer({"tokens": found, "context_length": context, "prompt_notes": prompt_notes(opened, text)})

    return router
