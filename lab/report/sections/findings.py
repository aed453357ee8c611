"""What the doctor and the instruments found while the run trained."""

from __future__ import annotations

from dataclasses import replace

from lab.checks import is_number
from lab.report.document import Block, Points, Section, Table, Words
from lab.report.markup import code
from lab.report.record import Record
from lab.report.words import number, plural
from lab.runs.events import INDUCTION_HEAD, LEVELS, Finding, InstrumentFailed
from lab.units import UNKNOWN

MOST = 20


def findings(record: Record) -> Section:
    """Findings by their rule, worst first, with evidence and advice; instruments that failed."""
    found = diagnosed(record)
    blocks: list[Block] = []
    for finding in found[:MOST]:
        blocks.append(Words(_sentence(finding), finding.level))
        if finding.tries and finding.level != "note":
            blocks.append(Points([f"Try: {item}" for item in finding.tries[:4]]))
    for head in [found for found in record.milestones if found.rule == INDUCTION_HEAD][:3]:
        score = UNKNOWN if head.value is None else number(head.value, 2)
        became = f"Step {head.step}: layer {head.layer} head {head.head} became an induction head, score {score}."
        blocks.append(Words(became, "note"))
    failed = record.events_of(InstrumentFailed)
    if failed:
        rows = [(UNKNOWN if e.step is None else f"{e.step}", _short(e)) for e in failed[:MOST]]
        caption = f"{plural(len(failed), 'failure')} of instruments; the training went on"
        blocks.append(Table(("step", "what"), rows, numbers=(0,), caption=caption))
    if opening := _opening(record, found):
        blocks.insert(0, Words(opening))
    return Section("Findings", blocks)


def diagnosed(record: Record) -> list[Finding]:
    """The doctor's findings, the latest word on each rule, worst first."""
    latest: dict[str, Finding] = {}
    for finding in record.findings:
        before = latest.get(finding.rule, finding)
        latest[finding.rule] = replace(finding, level=max(before.level, finding.level, key=LEVELS.index))
    return sorted(latest.values(), key=lambda finding: (-LEVELS.index(finding.level), finding.since))


def _sentence(finding: Finding) -> str:
    value, threshold = finding.value, finding.threshold
    told = f"{code(finding.rule)}: {finding.what}"
    told += "" if told.rstrip().endswith(".") else "."
    if is_number(value) and is_number(threshold):
        measured = code(finding.metric) if finding.metric else "measured"
        told += f" Evidence: {measured} {number(value)} against {number(threshold)}"
        told += f", since step {finding.since:,}, seen at step {finding.step:,}."
    return f"{told} {finding.why}" if finding.level != "note" else told


def _short(event: InstrumentFailed) -> str:
    return ", ".join(f"{k} {v}" for k, v in event.payload().items())[:300]


def _opening(record: Record, found: list[Finding]) -> str:
    if record.watched:
        return "" if found else "The doctor watched and found nothing."
    shows = "it shows this:" if found else "it shows nothing." if record.rows else "there is nothing to see."
    return f"No doctor watched this run; examined afterwards, {shows}"
