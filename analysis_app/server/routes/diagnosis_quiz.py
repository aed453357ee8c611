"""The diagnosis quiz under `/api/sick`: recorded runs with one fault each, guesses, and the answers."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import Field

from analysis_app.analyses.declaration import Request
from analysis_app.analyses.diagnosis_quiz import question, score, solution
from analysis_app.library import Library
from analysis_app.server.answers import answer
from lab.runs.quiz_answers import add_guess


class Guess(Request):
    """The chosen cause."""

    choice: str = Field(description="one of the choices of the case", max_length=100)


def routes(library: Library) -> APIRouter:
    """The routes; guesses are kept in the folder of `library`."""
    router = APIRouter(prefix="/api/sick")

    @router.get("")
    def overview() -> Response:
        """The first guess for each run: true, false, or null for none yet."""
        return answer(score(library.root))

    @router.get("/{number}")
    def case(number: int) -> Response:
        """The curves of a run with a fault, and the causes to choose from."""
        return answer(question(number))

    @router.post("/{number}/guess")
    def guess(number: int, given: Guess) -> Response:
        """Choose a cause: the answer, its evidence, and the curves of the run without the fault."""
        found = solution(number, given.choice)
        add_guess(library.root, found["name"], given.choice, found["right"])
        return answer(found | {"score": score(library.root)})

    return router
