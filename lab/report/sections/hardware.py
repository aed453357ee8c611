"""The machine: which it was, how fast, how much memory, and what slowed it down."""

from __future__ import annotations

import numpy as np

from lab.figures.curves import Panel, draw_curves
from lab.report.document import Block, Paragraph, Picture, Section, Table, bullets
from lab.report.formatting import listed, percent, plural
from lab.report.run_record import RunRecord
from lab.runs import metrics
from lab.runs.events import Decided, Paused, Resumed, Rewound, Unpaused
from lab.runs.facts import dig
from lab.units import UNKNOWN, byte_count, count, duration

POINTS = 400  # of a line in a panel
SLOWER = 0.1  # report a change of speed when the final speed differs from the early one by this share
BESIDE = 0.15  # share of the time outside of steps from which on the settings that reduce it are named
FLAT = 0.02  # memory that grows by a smaller share of its peak after the start is called flat
PARTS = {
    "computing": "in steps",
    "waiting": "waiting for their batches",
    "validation": "in validation",
    "looks": "in instruments, snapshots and checkpoints",
    "rest": "in the start and what lies between",
}
STEADY = 0.1  # the start of a run, as a share: allocators fill, compilers compile


def hardware(record: RunRecord) -> Section:
    """A table of facts, two curves, sentences on speed, memory and bottleneck."""
    rows = [(name, text) for name, text in _rows(record) if text]
    blocks: list[Block] = [Table(("", ""), rows)] if rows else []
    panels = []
    for metric, title, unit, scale in (
        (metrics.PERF_TOKENS_PER_SECOND, "Speed", "tokens/s", 1.0),
        (metrics.PERF_MEMORY_BYTES, "Peak memory so far", "MB", 1e-6),
    ):
        series = record.of(metric).thinned(POINTS)
        if len(series) > 1:
            panels.append(Panel(title, unit, {"": (series.steps, series.values * scale)}))
    if panels:
        caption = "Speed and memory over the run."
        blocks.append(Picture("hardware", lambda dark: draw_curves(panels, dark=dark), caption))
    blocks += bullets([_speed(record), _memory(record), _bottleneck(record), _others(record), _breaks(record)])
    return Section("Hardware", blocks or [Paragraph("Nothing was recorded of the machine.")])


def _rows(record: RunRecord) -> list[tuple[str, str]]:
    speed, memory = record.of(metrics.PERF_TOKENS_PER_SECOND), record.of(metrics.PERF_MEMORY_BYTES)
    levers, tokens = record.status.levers, count(record.tokens_per_step)
    chosen = [
        f"{name} {_lever(levers[name])}" for name in ("precision", "attention", "threads", "compile") if name in levers
    ]
    return [
        ("device", f"{_lever(levers.get('device'))}, {', '.join(chosen)}" if levers else ""),
        ("size trained", f"{record.parameters:,} parameters, {tokens} tokens a step" if record.parameters else ""),
        ("training time", _time(record)),
        ("speed", f"{count(float(np.median(speed.values)))} tokens/s (median)" if len(speed) else ""),
        ("of the device's peak", percent(record.of(metrics.PERF_MFU).last) if len(record.of(metrics.PERF_MFU)) else ""),
        ("peak memory", byte_count(float(memory.values.max())) if len(memory) else ""),
        ("on disk", _disk(record)),
    ]


def _lever(lever: object) -> str:
    found = dig(lever, "value")
    if isinstance(found, bool):
        return "on" if found else "off"
    return str(found) if isinstance(found, str | int | float) else UNKNOWN


def _time(record: RunRecord) -> str:
    seconds = record.seconds
    if seconds is None:
        return ""
    begun, ended = record.status.created, record.of("wall").last
    around = ended - begun if begun is not None and ended is not None else 0.0
    return duration(seconds) + (f" (from start to end {duration(around)})" if around > 1.2 * seconds else "")


def _disk(record: RunRecord) -> str:
    parts = [
        f"{plural(len(found), name)} {byte_count(sum(info.size for info in found))}"
        for name, found in (("checkpoint", record.checkpoints), ("snapshot", record.snapshots))
        if found
    ]
    return ", ".join(parts)


def _speed(record: RunRecord) -> str:
    speed = record.of(metrics.PERF_TOKENS_PER_SECOND)
    early = speed.between(STEADY * record.steps, 0.4 * record.steps)
    late = speed.between(0.8 * record.steps, record.steps)
    if len(speed) < 20 or not len(early) or not len(late):
        return ""
    a, b = float(np.median(early.values)), float(np.median(late.values))
    low, high = (float(x) for x in np.percentile(speed.values, [10, 90]))
    spread = f"eight in ten measurements were between {count(low)} and {count(high)}"
    values = f"{count(a)} tokens/s early on, {count(b)} in its last fifth"
    if b < (1 - SLOWER) * a:
        return f"Training became slower by {percent(1 - b / a)}: {values}; {spread}."
    return f"Speed {'was steady' if b < (1 + SLOWER) * a else 'was higher at the end'}: {values}; {spread}."


def _memory(record: RunRecord) -> str:
    memory = record.of(metrics.PERF_MEMORY_BYTES)
    if len(memory) < 5:
        return ""
    start, end = memory.as_of(STEADY * record.steps) or memory.values[0], float(memory.values.max())
    grown = end - start
    if grown < FLAT * end:
        return f"Memory was flat after the start, at {byte_count(end)}."
    when = int(memory.steps[np.flatnonzero(memory.values >= start + 0.9 * grown)[0]])
    values = f"from {byte_count(start)} (after a tenth of the run) to {byte_count(end)}"
    return f"Memory grew {values}, nine tenths of that by step {when:,}."


def time_parts(record: RunRecord) -> dict[str, float]:
    """Where the wall-clock of the run went, pauses left out, in seconds by part; they add up to it.

    `computing`: in steps, their batches at hand; `waiting`: for these; `validation`; `looks`: instruments, snapshots
    and checkpoints; `rest`: the start and what lies between. Empty where it was not recorded to the end.
    """
    details = record.status.details
    whole, waiting = dig(details, "training_seconds"), dig(details, "steps_seconds", "waiting")
    computing, looks = dig(details, "steps_seconds", "computing"), dig(details, "looks_seconds")
    if not (isinstance(whole, float) and isinstance(computing, float) and isinstance(waiting, float)) or whole <= 0:
        return {}
    seconds = {name: float(value) for name, value in looks.items()} if isinstance(looks, dict) else {}
    validation = seconds.pop("validation", 0.0)
    parts = {"computing": computing, "waiting": waiting, "validation": validation, "looks": sum(seconds.values())}
    return parts | {"rest": whole - sum(parts.values())}


def _bottleneck(record: RunRecord) -> str:
    waits, parts, told = record.of(metrics.PERF_DATA_SHARE), time_parts(record), []
    if len(waits):
        waited = float(waits.values.mean())
        verdict = "data was a bottleneck" if waited > record.limits.data_share else "data was no bottleneck"
        told.append(f"{percent(waited)} of the time in steps was spent waiting for data: {verdict}")
    if parts:
        whole = sum(parts.values())
        shares = listed([f"{percent(seconds / whole)} {PARTS[name]}" for name, seconds in parts.items()])
        told.append(f"where the {duration(whole)} went: {shares}")
        if parts["validation"] + parts["looks"] > BESIDE * whole:
            told[-1] += " (larger `--validation.every`, `--probes.every`, `--samples.every` reduce the looks)"
    text = "; ".join(told)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _others(record: RunRecord) -> str:
    """What the run decided about its threads, because other programs wanted the processors or had gone."""
    decided = [event for event in record.events_of(Decided) if event.what == "threads"]
    if not decided:
        return ""
    threads = [n for event in decided if isinstance(n := dig(event.value, "threads"), int)]
    fewest = f", with {plural(min(threads), 'thread')} at the least" if threads else ""
    changes = f"{plural(len(decided), 'change')} of its threads, the first at step {decided[0].step:,}{fewest}"
    return f"Other programs wanted the processors: {changes} (the events `decided` say why)."


def _breaks(record: RunRecord) -> str:
    """Interruptions, by the events."""
    resumed, paused, rewound = record.events_of(Resumed), record.events_of(Paused), record.events_of(Rewound)
    parts = [plural(len(found), one) for found, one in ((resumed, "resume"), (paused, "pause")) if found]
    stood = sum(event.seconds for event in record.events_of(Unpaused) if event.seconds)
    if paused and stood:
        parts[-1] += f" of {duration(stood, 2)} in all"
    again = sum(max(0, event.rewound_from - event.step) for event in rewound if event.step is not None)
    if again:
        parts.append(f"{plural(again, 'step')} trained twice after going back to a checkpoint")
    return f"Interruptions: {', '.join(parts)}." if parts else ""
