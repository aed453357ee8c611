"""What the doctor and the instruments found while the run trained."""

from __future__ import annotations

from typing import Any

from lab.checks import is_number
from lab.report.document import Block, Points, Section, Table, Words
from lab.report.markup import code
from lab.report.record import Record
from lab.report.words import number, plural
from lab.units import UNKNOWN

ORDER = {"alarm": 0, "warning": 1, "note": 2}
MOST = 20


def findings(record: Record) -> Section:
    """Findings by their rule, worst first, with evidence and advice; instruments that failed."""
    found = diagnosed(record)
    blocks: list[Block] = []
    for finding in found[:MOST]:
        level = str(finding.get("level"))
        tone = level if level in ("warning", "alarm") else "note"
        blocks.append(Words(_sentence(finding), tone))  # type: ignore[arg-type]
        if isinstance(finding.get("try"), list) and finding["try"] and tone != "note":
            blocks.append(Points([f"Try: {item}" for item in finding["try"][:4]]))
    heads = [e for e in record.events_of("finding") if e.get("finding") == "induction_head"]
    for event in heads[:3]:
        step, layer, head = (event.get(name, UNKNOWN) for name in ("step", "layer", "head"))
        score = number(event["score"], 2) if is_number(event.get("score")) else UNKNOWN
        blocks.append(Words(f"Step {step}: layer {layer} head {head} became an induction head, score {score}.", "note"))
    failed = record.events_of("instrument_failed")
    if failed:
        rows = [(f"{e.get('step', UNKNOWN)}", _short(e)) for e in failed[:MOST]]
        caption = f"{plural(len(failed), 'failure')} of instruments; the training went on"
        blocks.append(Table(("step", "what"), rows, numbers=(0,), caption=caption))
    if opening := _opening(record, found):
        blocks.insert(0, Words(opening))
    return Section("Findings", blocks)


def diagnosed(record: Record) -> list[dict[str, Any]]:
    """The doctor's findings, the latest word on each rule, worst first."""
    latest: dict[str, dict[str, Any]] = {}
    worst: dict[str, str] = {}
    for event in record.findings:
        if isinstance(event.get("what"), str):
            rule, level = event["rule"], str(event.get("level"))
            latest[rule] = event
            if ORDER.get(level, 3) < ORDER.get(worst.get(rule, ""), 4):
                worst[rule] = level
    found = [event | {"level": worst[rule]} for rule, event in latest.items()]
    return sorted(found, key=lambda event: (ORDER.get(str(event["level"]), 3), _since(event)))


def _since(event: dict[str, Any]) -> int:
    since = event.get("since", event.get("step"))
    return since if isinstance(since, int) else 0


def _sentence(finding: dict[str, Any]) -> str:
    value, threshold, metric = finding.get("value"), finding.get("threshold"), finding.get("metric")
    told = f"{code(finding['rule'])}: {finding['what']}"
    told += "" if told.rstrip().endswith(".") else "."
    if is_number(value) and is_number(threshold):
        since, seen = _since(finding), finding.get("step")
        told += f" Evidence: {code(metric) if metric else 'measured'} {number(value)} against {number(threshold)}"
        told += (
            f", since step {since:,}, seen at step {seen:,}." if isinstance(seen, int) else f", since step {since:,}."
        )
    why = finding.get("why")
    return f"{told} {why}" if isinstance(why, str) and finding.get("level") != "note" else told


def _short(event: dict[str, Any]) -> str:
    said = {k: v for k, v in event.items() if k not in ("kind", "step", "wall")}
    return ", ".join(f"{k} {v}" for k, v in said.items())[:300]


def _opening(record: Record, found: list[dict[str, Any]]) -> str:
    if record.watched:
        return "" if found else "The doctor watched and found nothing."
    shows = "it shows this:" if found else "it shows nothing." if record.rows else "there is nothing to see."
    return f"No doctor watched this run; examined afterwards, {shows}"
