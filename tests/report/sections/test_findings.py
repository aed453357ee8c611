"""Findings: those of the rules, worst first, with evidence and advice; milestones; failures of instruments."""

from __future__ import annotations

from dataclasses import replace

from lab.diagnosis import RULES
from lab.diagnosis.finding import Found
from lab.report.run_record import RunRecord
from lab.report.sections.findings import diagnosed, findings, problems
from lab.runs.events import Completed, Event, InstrumentFailed
from tests.report.runs import text_in

HIGH = RULES["lr_too_high"].finding(Found("warning", "too high", 10, "stats/update_ratio", 0.2, 0.1), 12)
NAN = RULES["non_finite"].finding(Found("alarm", "it is nan", 300), 301)


def with_events(record: RunRecord, *events: Event) -> RunRecord:
    return replace(record, events=list(events))


def test_a_finding_with_evidence_reason_and_advice(record: RunRecord) -> None:
    text = text_in(findings(record))
    assert "**Warning:** `lr_too_high`: updates are large. Evidence: `stats/update_ratio` 0.1 against 0.01" in text
    assert "since step 100, seen at step 200." in text
    assert "- Try: a lower rate" in text


def test_the_worst_comes_first_at_its_highest_level(record: RunRecord) -> None:
    over = HIGH.over(50)
    shown = with_events(record, HIGH, NAN, over)
    assert [(f.rule, f.level) for f in diagnosed(shown)] == [("non_finite", "alarm"), ("lr_too_high", "warning")]
    assert diagnosed(shown)[1].what.startswith("over at step 50")
    assert problems(with_events(record, over)) == []


def test_no_findings_are_said_to_be_none(record: RunRecord) -> None:
    watched = replace(record, events=[Completed(step=400)], config=record.config | {"doctor": {"every": None}})
    assert "were applied during training and found nothing" in text_in(findings(watched))
    unwatched = with_events(record, Completed(step=400))
    assert "were not applied during training; applied to this run now, they find" in text_in(findings(unwatched))


def test_instruments_that_failed_are_listed(record: RunRecord) -> None:
    text = text_in(findings(with_events(record, InstrumentFailed(step=7, instrument="Samples", error="disk full"))))
    assert "1 failure of instruments; training continued" in text
    assert "disk full" in text
