"""The diagnosis quiz in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis_app.analyses.diagnosis_quiz import cases
from lab.diagnosis.broken_runs import BROKEN_RUNS
from scripts.page_server import start_server
from tests.analysis_app.conftest import Person


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
