"""Sick runs: what is asked gives nothing away, what is answered is kept; and a person who guesses, in a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from analysis_app.analyses.diagnosis_quiz import FOLDER, cases, choices, recording
from lab.diagnosis.broken_runs import BROKEN_RUNS, HEALTHY
from lab.runs.metrics import describe
from lab.runs.quiz_answers import first_guesses, read_guesses
from scripts.page_server import start_server
from tests.analysis_app.conftest import Person


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


def test_every_disease_that_can_be_asked_is_recorded_and_small() -> None:
    assert set(cases()) == {name for name, broken in BROKEN_RUNS.items() if broken.cause}
    for path in FOLDER.glob("*.json"):
        assert path.stat().st_size < 30_000, path.name
    for name in cases():
        found = recording(name)
        assert found["format"] == 1
        assert len(found["curves"]["train/loss"][0]) == len(found["curves"]["train/loss"][1]) > 10
        assert all(map(describe, found["curves"]))
        assert BROKEN_RUNS[name].rule in [finding["rule"] for finding in found["findings"]], (
            f"{name} is not named in its recording"
        )
        assert found["command"].startswith("python -m lab fit --config configs/broken/healthy.yaml")
    assert recording(HEALTHY)["findings"] == [f for f in recording(HEALTHY)["findings"] if f["level"] == "note"]


def test_choices_are_distinct_causes_the_right_one_among_them() -> None:
    for name in cases():
        found = choices(name)
        assert name in [c["id"] for c in found]
        assert len({c["cause"] for c in found}) == len(found) == 4
        seen = {BROKEN_RUNS[name].rule, *(finding["rule"] for finding in recording(name)["findings"])}
        assert [c["id"] for c in found if BROKEN_RUNS[c["id"]].rule in seen] == [name], "no second right answer"


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


@pytest.mark.browser
def test_a_person_guesses_and_learns_why(browser: Any, tmp_path: Path) -> None:
    server = start_server(tmp_path / "runs")
    context = browser.new_context(viewport={"width": 1280, "height": 950})
    try:
        person = Person(context, server.url)
        person.open("sick")
        panel = person.panel("diagnosis_quiz")
        name = cases()[0]
        assert panel.locator(".lab-chart").count() > 3, "the loss and more"
        page = person.page
        page.click(f'.lab-quiz-choice[data-choice="{name}"]')
        page.wait_for_selector('.lab-quiz-answer[data-right="true"]')
        assert str(BROKEN_RUNS[name].cause) in str(panel.inner_text())
        assert "1 of 1 right" in str(panel.inner_text())
        assert person.page.locator(".lab-quiz-choice:disabled").count() == 4
        page.click(".lab-quiz-verdict .lab-primary")
        page.wait_for_selector('[data-panel="diagnosis_quiz"][data-number="2"]')
        person.open("sick")  # again: it goes on where it was
        page.wait_for_selector('[data-panel="diagnosis_quiz"][data-number="2"]')
        page.click(".lab-quiz-case >> nth=0")
        page.wait_for_selector('[data-panel="diagnosis_quiz"][data-number="1"]')
        assert not person.problems, person.problems
    finally:
        context.close()
        server.stop()
