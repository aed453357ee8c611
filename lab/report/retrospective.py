"""The report of one run, put together from its sections."""

from __future__ import annotations

import time
from collections.abc import Callable

from lab.report.document import Blank, Block, Document, Section, Words
from lab.report.markup import code
from lab.report.record import Record, read_record
from lab.report.sections.ahead import ahead
from lab.report.sections.attention import attention
from lab.report.sections.built import built
from lab.report.sections.configuration import configuration
from lab.report.sections.connections import connections
from lab.report.sections.findings import diagnosed, findings
from lab.report.sections.flow import flow
from lab.report.sections.hardware import hardware
from lab.report.sections.instruments import instruments
from lab.report.sections.losses import best_step, losses
from lab.report.sections.prediction import prediction
from lab.report.sections.promises import learnings, promises
from lab.report.sections.rates import rates
from lab.report.sections.writing import writing
from lab.report.words import day, listed, loss, plural
from lab.runs import Run
from lab.units import count, duration

SECTIONS: tuple[Callable[[Record], Section], ...] = (
    built, configuration, prediction, losses, rates, attention, flow, writing, findings, hardware, instruments, ahead,
    connections,
)  # fmt: skip
STATES = {
    "completed": "Completed",
    "stopped": "Stopped before its end",
    "failed": "Failed",
    "stale": "Dead without a word",
    "running": "Still running as this was written",
    "paused": "Paused as this was written",
    "starting": "Just starting as this was written",
    "broken": "In a state that its files do not tell",
}


def report_on(run: Run) -> Callable[[dict[str, str]], Document]:
    """Read a run; the result makes its report, given what the person has written so far."""
    record, now = read_record(run), time.time()
    return lambda words: retrospective(record, words, now)


def retrospective(record: Record, words: dict[str, str], now: float) -> Document:
    """Everything there is to say of a run. `words`: what the person has written so far, by blank."""
    sections = [_safely(section, record) for section in SECTIONS]
    sections += [_safely(lambda r: promises(r, words), record), learnings(record)]
    sections += _left_over(sections, words)
    return Document(
        title=record.name,
        subtitle=subtitle(record),
        facts=facts(record),
        sections=[Section("In short", in_short(record)), *sections],
        made=f"Written {day(now)} by `python -m lab report` from the files in {code(record.run.path)} alone.",
    )


def _safely(section: Callable[[Record], Section], record: Record) -> Section:
    """A section; where a run's files hold something that nobody foresaw, a sentence in its place."""
    try:
        return section(record)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, OSError) as error:
        name = getattr(section, "__name__", "a section").strip("<>").replace("_", " ")
        what = f"The section on {name} could not be written: {type(error).__name__}, {error}."
        return Section(name.capitalize(), [Words(what, "warning")])


def subtitle(record: Record) -> str:
    """What became of it, in a line."""
    status = record.status
    total = f" of {status.total_steps:,}" if status.total_steps else ""
    steps = f", {record.steps:,}{total} steps" if record.rows or record.steps else ""
    when = f", begun {day(status.created)}" if status.created else ""
    return f"{STATES.get(status.state, status.state)}{steps}{when}."


def facts(record: Record) -> list[tuple[str, str]]:
    """The few numbers at the head; what is not known is left out."""
    val = record.val
    known = [
        ("parameters", count(record.parameters) if record.parameters else None),
        ("tokens", count(record.tokens) if record.tokens else None),
        ("validation loss", loss(val.last) if len(val) else None),
        ("training loss", loss(record.train.last) if len(record.train) and not len(val) else None),
        ("bits per byte", loss(record.of("val/bits_per_byte").last) if len(record.of("val/bits_per_byte")) else None),
        ("training time", duration(record.seconds) if record.seconds else None),
        ("findings", str(len(diagnosed(record))) if diagnosed(record) else None),
    ]
    return [(name, value) for name, value in known if value]


def in_short(record: Record) -> list[Block]:
    """Three or four sentences, and what could not be read."""
    blocks: list[Block] = []
    told = [_outcome(record), _against(record), _worst(record)]
    if sentence := " ".join(t for t in told if t):
        blocks.append(Words(sentence))
    message = record.status.message
    if record.status.state in ("failed", "stopped") and message:
        blocks.append(
            Words(
                f"Its own last words: {code(message, 300)}.", "warning" if record.status.state == "failed" else "note"
            )
        )
    if record.problems:
        blocks.append(
            Words(f"Of this run, not everything could be read: {'; '.join(map(str, record.problems))}.", "warning")
        )
    return blocks


def _outcome(record: Record) -> str:
    if not len(record.val):
        return "" if len(record.train) else "This run left no loss behind, so there is little to look back on."
    best = best_step(record)
    lowest = float(record.val.values.min())
    where = (
        f"its lowest, {loss(lowest)}, at step {best:,}"
        if best is not None and best != int(record.val.steps[-1])
        else "the lowest of the run"
    )
    return f"The validation loss ended at **{loss(record.val.last)}** nats per token ({where})."


def _against(record: Record) -> str:
    last = record.val.last
    known = {name: value for name, value in record.baselines.items() if name != "floor"}
    if last is None or not known:
        return ""
    beaten = [name for name, value in known.items() if last < value]
    if not beaten:
        return f"That is not better than guessing evenly ({known.get('uniform', 0):.3f})." if "uniform" in known else ""
    missed = [name for name in known if name not in beaten]
    return f"It beats {listed(beaten)}" + (f", not {listed(missed)}." if missed else ", all baselines there are.")


def _worst(record: Record) -> str:
    found = [f for f in diagnosed(record) if f.level in ("alarm", "warning")]
    return (
        f"The doctor raised {plural(len(found), 'concern')}, the gravest: {found[0].what.rstrip('.')}." if found else ""
    )


def _left_over(sections: list[Section], words: dict[str, str]) -> list[Section]:
    """What the person wrote into blanks that this report no longer has."""
    known = {block.name for section in sections for block in section.blocks if isinstance(block, Blank)}
    orphans = [name for name, text in words.items() if name not in known and text.strip()]
    if not orphans:
        return []
    return [
        Section("Kept from an earlier report", [Blank(name, f"What you wrote under {code(name)}") for name in orphans])
    ]
