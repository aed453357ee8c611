"""The routes of the diagnosis quiz: a question gives nothing away, a guess is answered and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from analysis_app.analyses.diagnosis_quiz import cases, choices
from lab.diagnosis.broken_runs import BROKEN_RUNS
from lab.runs.quiz_answers import first_guesses, read_guesses


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> tuple[TestClient, Path]:
    from fastapi import FastAPI

    from analysis_app.library import Library
    from analysis_app.server.answers import add_error_answers
    from analysis_app.server.routes import diagnosis_quiz

    root = tmp_path_factory.mktemp("sick") / "runs"
    app = FastAPI()
    app.include_router(diagnosis_quiz.routes(Library(root)))
    add_error_answers(app)
    return TestClient(app), root


def test_a_question_gives_nothing_away(client: tuple[TestClient, Path]) -> None:
    asked: dict[str, Any] = client[0].get("/api/sick/1").json()
    name = cases()[0]
    assert not {"rule", "findings", "evidence", "comment", "command", "name"} & asked.keys()
    assert not [metric for metric in asked["curves"] if metric.startswith("audit/")]
    assert BROKEN_RUNS[name].rule not in json.dumps({k: v for k, v in asked.items() if k != "choices"})


def test_a_guess_is_answered_with_evidence_and_kept(client: tuple[TestClient, Path]) -> None:
    browser, root = client
    name = cases()[1]
    wrong = next(c["id"] for c in choices(name) if c["id"] != name)
    first = browser.post("/api/sick/2/guess", json={"choice": wrong}).json()
    assert (first["right"], first["name"], first["cause"]) == (False, name, BROKEN_RUNS[name].cause)
    assert first["twin"]["train/loss"]
    assert first["why"]
    assert first["tries"]
    again = browser.post("/api/sick/2/guess", json={"choice": name}).json()
    assert again["right"]
    assert again["score"]["guessed"][1] is False, "the first guess counts"
    assert first_guesses(read_guesses(root)) == {name: False}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/api/sick/0", None, 404), ("/api/sick/999", None, 404), ("/api/sick/1/guess", {"choice": "<b>"}, 422)],
)
def test_what_does_not_exist_is_refused_in_a_sentence(
    client: tuple[TestClient, Path], path: str, body: dict[str, str] | None, status: int
) -> None:
    found = client[0].post(path, json=body) if body else client[0].get(path)
    assert found.status_code == status
    assert found.json()["error"]
