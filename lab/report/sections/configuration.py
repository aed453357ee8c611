"""The configuration: what was chosen, what differs from the parent run, what was changed on the way."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from lab.report.document import Block, Section, Table, Verbatim, Words
from lab.report.markup import code
from lab.report.record import Record, parent_of
from lab.report.words import plural, value
from lab.runs.compare import flatten, is_choice
from lab.runs.events import LrChanged, Resumed, Started
from lab.units import UNKNOWN

MOST_ROWS = 60


def configuration(record: Record) -> Section:
    """Differences from the defaults, from the parent, and between the run's own processes."""
    blocks: list[Block] = []
    if record.status.command:
        blocks.append(
            Verbatim("Begun by" if len(record.events_of(Resumed)) == 0 else "Last started by", record.status.command)
        )
    blocks += _from_defaults(record) + _from_parent(record) + _on_the_way(record)
    note = record.settings.get("run.note")
    if isinstance(note, str) and note.strip():
        blocks.insert(0, Words(f"The run's note: {note.strip()}"))
    return Section("Configuration", blocks)


def _from_defaults(record: Record) -> list[Block]:
    defaults = record.status.details.get("defaults")
    if not isinstance(defaults, dict):
        if not record.settings:
            return []
        return [Words("Which settings differ from the defaults was not noted by this run; `config.yaml` has them all.")]
    rows = [
        (code(name), value(record.settings.get(name)), value(default))
        for name, default in defaults.items()
        if is_choice(str(name))
    ]
    if not rows:
        return [Words("Every setting is as by default.")]
    return [Table(("setting", "here", "default"), rows[:MOST_ROWS], caption="Chosen otherwise than by default")]


def _from_parent(record: Record) -> list[Block]:
    parent = parent_of(record)
    if parent is None:
        return []
    name, step, run = parent
    where = f"{code(name)} at step {step:,}" if step is not None else code(name)
    theirs: dict[str, Any] | None = None
    if run is not None:
        with suppress(ValueError):
            theirs = flatten(run.config() or {})
    started = record.events_of(Started)
    if theirs is not None:
        names = sorted(
            n for n in {*theirs, *record.settings} if is_choice(n) and theirs.get(n) != record.settings.get(n)
        )
        rows = [(code(n), value(record.settings.get(n)), value(theirs.get(n))) for n in names]
    elif started:
        told = started[0].changed.items()
        rows = [(code(n), value(c.get("to")), value(c.get("from"))) for n, c in told if isinstance(c, dict)]
    else:
        return [Words(f"A fork of {where}; its directory is not beside this one, so what differs is {UNKNOWN}.")]
    if not rows:
        return [Words(f"A fork of {where}, with the same settings.")]
    return [Table(("setting", "here", "parent"), rows[:MOST_ROWS], caption=f"A fork of {where}: what differs")]


def _on_the_way(record: Record) -> list[Block]:
    """What was changed when the run was resumed, and by command."""
    rows = []
    for event in record.events:
        step = UNKNOWN if event.step is None else f"{event.step:,}"
        if isinstance(event, LrChanged):
            rows.append((step, "factor on the learning rate", f"{value(event.before)} → {value(event.to)}"))
        elif isinstance(event, Resumed):
            changes = [(n, c) for n, c in event.changed.items() if isinstance(c, dict)]
            told = [f"{n}: {value(c.get('from'))} → {value(c.get('to'))}" for n, c in changes]
            rows.append((step, "resumed", ", ".join(told) or "nothing changed"))
    if not rows:
        return []
    resumed = len(record.events_of(Resumed))
    caption = f"On the way: resumed {plural(resumed, 'time')}" if resumed else "On the way"
    return [Table(("step", "what", "changes"), rows[:MOST_ROWS], numbers=(0,), caption=caption)]
