"""The configuration: what was chosen, what differs from the parent run, what was changed during training."""

from __future__ import annotations

from contextlib import suppress

from lab.report.document import Block, Paragraph, Section, Table, Verbatim
from lab.report.formatting import plural, value
from lab.report.markup import code
from lab.report.run_record import RunRecord, parent_of
from lab.runs.configurations import changed_settings, is_choice
from lab.runs.events import LrChanged, Resumed, Started
from lab.units import UNKNOWN

MOST_ROWS = 60


def configuration(record: RunRecord) -> Section:
    """Differences from the defaults, from the parent, and between the run's own processes."""
    blocks: list[Block] = []
    note = record.settings.get("run.note")
    if isinstance(note, str) and note.strip():
        blocks.append(Paragraph(f"The run's note: {note.strip()}"))
    if record.status.command:
        label = "Last started by" if record.events_of(Resumed) else "Started by"
        blocks.append(Verbatim(label, record.status.command))
    return Section("Configuration", blocks + _from_defaults(record) + _from_parent(record) + _changes(record))


def _from_defaults(record: RunRecord) -> list[Block]:
    defaults = record.status.details.get("defaults")
    if not isinstance(defaults, dict):
        if not record.settings:
            return []
        return [Paragraph("This run did not record which settings differ from the defaults; `config.yaml` has all.")]
    rows = [
        (code(name), value(record.settings.get(name)), value(default))
        for name, default in defaults.items()
        if is_choice(str(name))
    ]
    if not rows:
        return [Paragraph("Every setting has its default.")]
    return [Table(("setting", "here", "default"), rows[:MOST_ROWS], caption="Settings that differ from the defaults")]


def _from_parent(record: RunRecord) -> list[Block]:
    parent = parent_of(record)
    if parent is None:
        return []
    name, step, run = parent
    where = f"{code(name)} at step {step:,}" if step is not None else code(name)
    started = record.events_of(Started)
    theirs: dict[str, object] | None = None
    if run is not None:
        with suppress(ValueError):
            theirs = run.config() or {}
    if theirs is not None:
        changed = sorted(changed_settings(theirs, record.settings).items())
        rows = [(code(n), value(here), value(there)) for n, (there, here) in changed if is_choice(n)]
    elif started:
        told = started[0].changed.items()
        rows = [(code(n), value(c.get("to")), value(c.get("from"))) for n, c in told if isinstance(c, dict)]
    else:
        return [Paragraph(f"A fork of {where}; its directory is not beside this one, so what differs is {UNKNOWN}.")]
    if not rows:
        return [Paragraph(f"A fork of {where}, with the same settings.")]
    return [Table(("setting", "here", "parent"), rows[:MOST_ROWS], caption=f"A fork of {where}: what differs")]


def _changes(record: RunRecord) -> list[Block]:
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
    caption = "During training" + (f": resumed {plural(resumed, 'time')}" if resumed else "")
    return [Table(("step", "what", "changes"), rows[:MOST_ROWS], numbers=(0,), caption=caption)]
