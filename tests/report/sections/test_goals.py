"""The lab's goals: what a run shows of each, and questions to answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.report.document import UserText
from lab.report.run_record import RunRecord
from lab.report.sections.goals import goals, guessed, own_words, study_questions
from lab.runs.quiz_answers import add_guess
from lab.runs.series import Columns
from tests.report.runs import text_in


def test_the_evidence_of_each_goal(record: RunRecord) -> None:
    text = text_in(goals(record, {}))
    assert "| Explain | 0 of the 5 questions below answered |" in text
    assert "1 of the lab's 1 interval contained the outcome" in text
    assert "the rules found 1 problem during training" in text
    assert "3 snapshots to open, 3 recordings of the reference texts" in text
    assert "It will learn letters first." in text
    assert "1 of the 5 questions" in text_in(goals(record, {"answer-start": "because", "notes": "x"}))


def test_questions_depend_on_what_the_run_shows(record: RunRecord) -> None:
    names = [name for name, _ in study_questions(record)]
    assert names == ["answer-start", "answer-order", "answer-circuit", "answer-sharp", "answer-lr"]
    assert study_questions(replace(record, bundles=[], columns=Columns())) == []


def test_guesses_count_at_the_first_try(tmp_path: Path) -> None:
    assert guessed(tmp_path) == "you answered no run of the page's diagnosis quiz yet"
    for case, right in (("no_mask", False), ("no_mask", True), ("spike", True)):
        add_guess(tmp_path, case, "x", right)
    assert guessed(tmp_path).startswith(
        "in the page's diagnosis quiz you were right at the first try in 1 of 2 runs; it has "
    )


def test_room_for_own_words() -> None:
    names = [block.name for block in own_words().blocks if isinstance(block, UserText)]
    assert names == ["surprised", "learned", "otherwise", "notes"]
