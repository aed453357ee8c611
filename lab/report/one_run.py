"""The report of one run, put together from its sections."""

from __future__ import annotations

import time
from collections.abc import Callable

from lab.report.document import Block, Document, Paragraph, Section, UserText
from lab.report.formatting import day, listed, loss, plural
from lab.report.markup import code
from lab.report.run_record import DAMAGED, RunRecord, read_record
from lab.report.sections.attention import attention
from lab.report.sections.configuration import configuration
from lab.report.sections.findings import diagnosed, findings, problems
from lab.report.sections.forecast import forecast
from lab.report.sections.forward_backward import forward_backward
from lab.report.sections.further_use import further_use
from lab.report.sections.goals import goals, own_words
from lab.report.sections.hardware import hardware
from lab.report.sections.instruments import instruments
from lab.report.sections.learning_rate import learning_rate
from lab.report.sections.losses import losses
from lab.report.sections.model_and_data import model_and_data
from lab.report.sections.next_experiments import next_experiments
from lab.report.sections.samples import samples
from lab.runs import Run
from lab.runs.facts import label_of
from lab.units import count, duration

SECTIONS: tuple[Callable[[RunRecord], Section], ...] = (
    model_and_data, configuration, forecast, losses, learning_rate, attention, forward_backward, samples, findings,
    hardware, instruments, next_experiments, further_use,
)  # fmt: skip
STATES = {
    "completed": "Completed",
    "stopped": "Stopped before its end",
    "failed": "Failed",
    "stale": "Ended without saying why (its process is gone)",
    "running": "Still running when this was written",
    "paused": "Paused when this was written",
    "starting": "Starting when this was written",
    "broken": "In an unknown state (run.json is missing or damaged)",
}


def report_on(run: Run) -> Callable[[dict[str, str]], Document]:
    """Read a run; the result makes its report, given the user's texts by name."""
    record, now = read_record(run), time.time()
    return lambda texts: document_of(record, texts, now)


def document_of(record: RunRecord, texts: dict[str, str], now: float) -> Document:
    """The report of a run. `texts`: what the user wrote into it so far, by name."""
    sections = [_safely(section, record) for section in SECTIONS]
    sections += [_safely(lambda r: goals(r, texts), record), own_words()]
    return Document(
        title=record.name,
        subtitle=_subtitle(record),
        facts=_facts(record),
        sections=[Section("In short", _in_short(record)), *sections, *_left_over(sections, texts)],
        made=f"Written {day(now)} by `python -m lab report` from the files in {code(record.run.path)} alone.",
    )


def _safely(section: Callable[[RunRecord], Section], record: RunRecord) -> Section:
    """A section; where a run's files hold values of another kind than expected, a sentence in its place."""
    try:
        return section(record)
    except DAMAGED as error:
        name = getattr(section, "__name__", "a section").strip("<>").replace("_", " ")
        what = f"The section on {name} could not be written: {type(error).__name__}, {error}."
        return Section(name.capitalize(), [Paragraph(what, "warning")])


def _subtitle(record: RunRecord) -> str:
    status = record.status
    total = f" of {status.total_steps:,}" if status.total_steps else ""
    steps = f", {record.steps:,}{total} steps" if record.rows or record.steps else ""
    when = f", started {day(status.created)}" if status.created else ""
    return f"{STATES.get(status.state, status.state)}{steps}{when}."


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    """The few numbers at the head; what is not known is left out."""
    val, found = record.val, len(diagnosed(record))
    known = [
        ("parameters", count(record.parameters) if record.parameters else None),
        ("tokens", count(record.tokens) if record.tokens else None),
        ("validation loss", loss(record.final_val) if len(val) else None),
        ("training loss", loss(record.train.last) if len(record.train) and not len(val) else None),
        ("bits per byte", loss(record.final_bits) if record.final_bits is not None else None),
        ("training time", duration(record.seconds) if record.seconds else None),
        ("findings", str(found) if found else None),
    ]
    return [(name, value) for name, value in known if value]


def _in_short(record: RunRecord) -> list[Block]:
    """Three or four sentences, and what could not be read."""
    blocks: list[Block] = []
    if sentence := " ".join(filter(None, (_outcome(record), _against_baselines(record), _worst(record)))):
        blocks.append(Paragraph(sentence))
    state, message = record.status.state, record.status.message
    if state in ("failed", "stopped") and message:
        blocks.append(Paragraph(f"Its last message: {code(message, 300)}.", "warning" if state == "failed" else "note"))
    if record.problems:
        blocks.append(Paragraph(f"Not everything could be read: {'; '.join(map(str, record.problems))}.", "warning"))
    return blocks


def _outcome(record: RunRecord) -> str:
    if record.best is None:
        return "" if len(record.train) else "This run has no losses, so there is little to report."
    step, lowest = record.best
    where = "the lowest of the run"
    if step != int(record.val.steps[-1]):
        where = f"its lowest, {loss(lowest)}, at step {step:,}"
    on = f" {record.measured_on}" if record.measured_on else ""
    return f"The validation loss ended at **{loss(record.final_val)}** nats per token{on} ({where})."


def _against_baselines(record: RunRecord) -> str:
    last = record.final_val
    known = {label_of(name): value for name, value in record.baselines.items() if name != "floor"}
    if last is None or not known:
        return ""
    beaten = [name for name, value in known.items() if last < value]
    if not beaten:
        return f"That is no better than guessing evenly ({known['uniform']:.3f})." if "uniform" in known else ""
    missed = [name for name in known if name not in beaten]
    return f"It is below {listed(beaten)}" + (f", not below {listed(missed)}." if missed else ", all known baselines.")


def _worst(record: RunRecord) -> str:
    found = problems(record)
    return (
        f"The diagnosis found {plural(len(found), 'problem')}, the worst: {found[0].what.rstrip('.')}." if found else ""
    )


def _left_over(sections: list[Section], texts: dict[str, str]) -> list[Section]:
    """What the user wrote under questions that this report no longer has."""
    known = {block.name for section in sections for block in section.blocks if isinstance(block, UserText)}
    orphans = [name for name, text in texts.items() if name not in known and text.strip()]
    if not orphans:
        return []
    title = "Kept from an earlier report"
    return [Section(title, [UserText(name, f"What you wrote under {code(name)}") for name in orphans])]
