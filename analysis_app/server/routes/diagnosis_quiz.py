"""The diagnosis quiz under `/api/sick`: recorded runs with one fault each, guesses, and the answers."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from analysis_app.analyses.declaration import Request
from analysis_app.analyses.diagnosis_quiz import question, score, solution
from analysis_app.library import Library
from analysis_app.server.answers import answer
from lab.runs.guesses import add_guess


class Guess(Request):
    """What is thought to be wrong."""

    choice: str = Field(description="one of the choices of the case", max_length=100)


def routes(library: Library) -> APIRouter:
    """The routes; guesses are kept in the folder of `library`."""
    router = APIRouter(prefix="/api/sick")

    @router.get("")
    def overview() -> Response:
        """How many runs there are, and how each was guessed the first time: true, false, or null for not yet."""
        return answer(score(library.root))

    @router.get("/{number}")
    def case(number: int) -> Response:
        """The curves of a sick run, and what may be wrong with it."""
        return answer(question(number))

    @router.post("/{number}/guess")
    def guess(number: int, given: Guess) -> Response:
        """Say what is wrong: the answer, its evidence, the healthy twin's curves."""
        found = solution(number, given.choice)
        add_guess(library.root, found["name"], given.choice, found["right"])
        return answer(found | {"score": score(library.root)})

    return router
