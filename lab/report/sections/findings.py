"""What the diagnosis rules and the instruments found."""

from __future__ import annotations

from dataclasses import replace

from lab.report.document import Block, BulletList, Paragraph, Section, Table
from lab.report.formatting import number, plural
from lab.report.markup import code
from lab.report.run_record import RunRecord
from lab.runs.events import INDUCTION_HEAD, LEVELS, Finding, InstrumentFailed
from lab.units import UNKNOWN

MOST = 20


def findings(record: RunRecord) -> Section:
    """Findings by their rule, worst first, with evidence and advice; milestones; instruments that failed."""
    found = diagnosed(record)
    blocks: list[Block] = []
    if opening := _opening(record, found):
        blocks.append(Paragraph(opening))
    for finding in found[:MOST]:
        blocks.append(Paragraph(_sentence(finding), finding.level))
        if finding.tries and finding.level != "note":
            blocks.append(BulletList([f"Try: {item}" for item in finding.tries[:4]]))
    for head in [milestone for milestone in record.milestones if milestone.rule == INDUCTION_HEAD][:3]:
        became = f"Step {head.step}: layer {head.layer} head {head.head} became an induction head"
        blocks.append(Paragraph(f"{became}, score {number(head.value, 2)}.", "note"))
    if failed := record.events_of(InstrumentFailed):
        rows = [(UNKNOWN if event.step is None else f"{event.step}", _fields(event)) for event in failed[:MOST]]
        caption = f"{plural(len(failed), 'failure')} of instruments; training continued"
        blocks.append(Table(("step", "what"), rows, numbers=(0,), caption=caption))
    return Section("Findings", blocks)


def diagnosed(record: RunRecord) -> list[Finding]:
    """The findings of the diagnosis, the latest of each rule at its highest level, worst first."""
    latest: dict[str, Finding] = {}
    for finding in record.findings:
        before = latest.get(finding.rule, finding)
        latest[finding.rule] = replace(finding, level=max(before.level, finding.level, key=LEVELS.index))
    return sorted(latest.values(), key=lambda finding: (-LEVELS.index(finding.level), finding.since))


def problems(record: RunRecord) -> list[Finding]:
    """The warnings and alarms among them."""
    return [finding for finding in diagnosed(record) if finding.level != "note"]


def _sentence(finding: Finding) -> str:
    told = f"{code(finding.rule)}: {finding.what}"
    told += "" if told.rstrip().endswith(".") else "."
    if finding.value is not None and finding.threshold is not None:
        measured = code(finding.metric) if finding.metric else "measured"
        told += f" Evidence: {measured} {number(finding.value)} against {number(finding.threshold)}"
        told += f", since step {finding.since:,}, seen at step {finding.step:,}."
    return f"{told} {finding.why}" if finding.level != "note" else told


def _fields(event: InstrumentFailed) -> str:
    return ", ".join(f"{name} {value}" for name, value in event.payload().items())[:300]


def _opening(record: RunRecord, found: list[Finding]) -> str:
    if record.watched:
        return "" if found else "The diagnosis rules were applied during training and found nothing."
    shows = "they find:" if found else "they find nothing." if record.rows else "there are no metrics to examine."
    return f"The diagnosis rules were not applied during training; applied to this run now, {shows}"
