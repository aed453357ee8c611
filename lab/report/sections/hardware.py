"""The machine: what it was, how fast, how much memory, and what held it up."""

from __future__ import annotations

import numpy as np

from lab.figures.curves import Panel, draw_curves
from lab.report.document import Block, Picture, Points, Section, Table, Words
from lab.report.record import Record
from lab.report.sections.rates import thinned
from lab.report.words import percent, plural
from lab.runs.events import Paused, Resumed, Rewound, Unpaused
from lab.runs.facts import dig
from lab.runs.series import Series
from lab.units import UNKNOWN, byte_count, count, duration

SLOWER = 0.1
"""So much of the early speed missing at the end is told of."""
WAITS = 0.05
"""Share of the training time spent waiting for data, above which that is the bottleneck."""
BESIDE = 0.15
"""Share of the time outside of steps, above which it is worth a sentence of advice."""
FLAT = 0.02
"""Memory that grows by less of its peak after the start is called flat."""
STEADY = 0.1
"""The first so much of a run is its start: allocators fill, compilers compile."""


def hardware(record: Record) -> Section:
    """A table of facts, sentences on speed, memory and bottleneck, two curves."""
    rows = [(name, text) for name, text in _rows(record) if text]
    blocks: list[Block] = [Table(("", ""), rows)] if rows else []
    panels = []
    for metric, title, unit, scale in (
        ("perf/tokens_per_second", "Speed", "tokens/s", 1.0),
        ("perf/memory_bytes", "Peak memory so far", "MB", 1e-6),
    ):
        series = thinned(record.of(metric), 400)
        if len(series) > 1:
            panels.append(Panel(title, unit, {"": (series.steps, series.values * scale)}, guides={}))
    if panels:
        blocks.append(
            Picture("hardware", lambda dark: draw_curves(panels, dark=dark), "Speed and memory over the run.")
        )
    told = [
        sentence for sentence in (_speed(record), _memory(record), _bottleneck(record), _breaks(record)) if sentence
    ]
    blocks += [Points(told)] if told else []
    return Section("Hardware", blocks or [Words("Nothing was recorded of the machine.")])


def _rows(record: Record) -> list[tuple[str, str]]:
    speed, memory = record.of("perf/tokens_per_second"), record.of("perf/memory_bytes")
    mfu = record.of("perf/mfu")
    levers = record.status.levers
    chosen = [
        f"{name} {_lever(levers[name])}" for name in ("precision", "attention", "threads", "compile") if name in levers
    ]
    return [
        ("device", f"{_lever(levers.get('device'))}, {', '.join(chosen)}" if levers else ""),
        (
            "size trained",
            f"{record.parameters:,} parameters, {count(record.tokens_per_step)} tokens a step"
            if record.parameters
            else "",
        ),
        ("training time", _time(record)),
        ("speed", f"{count(float(np.median(speed.values)))} tokens/s (median)" if len(speed) else ""),
        ("of the device's peak", percent(mfu.last) if len(mfu) else ""),
        ("peak memory", byte_count(float(memory.values.max())) if len(memory) else ""),
        ("on disk", _disk(record)),
    ]


def _lever(lever: object) -> str:
    found = dig(lever, "value")
    if isinstance(found, bool):
        return "on" if found else "off"
    return str(found) if isinstance(found, str | int | float) else UNKNOWN


def _time(record: Record) -> str:
    seconds = record.seconds
    if seconds is None:
        return ""
    begun, ended = record.status.created, record.of("wall").last
    around = ended - begun if begun is not None and ended is not None else None
    return duration(seconds) + (
        f" (from start to end {duration(around)})" if around is not None and around > 1.2 * seconds else ""
    )


def _disk(record: Record) -> str:
    checkpoints, snapshots = record.checkpoints, record.snapshots
    parts = [
        f"{plural(len(found), name)} {byte_count(sum(info.size for info in found))}"
        for name, found in (("checkpoint", checkpoints), ("snapshot", snapshots))
        if found
    ]
    return ", ".join(parts)


def _speed(record: Record) -> str:
    speed = record.of("perf/tokens_per_second")
    if len(speed) < 20:
        return ""
    early = speed.between(STEADY * record.steps, 0.4 * record.steps)
    late = speed.between(0.8 * record.steps, record.steps)
    if not len(early) or not len(late):
        return ""
    a, b = float(np.median(early.values)), float(np.median(late.values))
    low, high = (float(x) for x in np.percentile(speed.values, [10, 90]))
    spread = f"eight in ten measurements lay between {count(low)} and {count(high)}"
    levels = f"{count(a)} tokens/s early on, {count(b)} in its last fifth"
    if b < (1 - SLOWER) * a:
        return f"It became slower by {percent(1 - b / a)}: {levels}; {spread}."
    return f"Speed {'was steady' if b < (1 + SLOWER) * a else 'was higher at the end'}: {levels}; {spread}."


def _memory(record: Record) -> str:
    memory = record.of("perf/memory_bytes")
    if len(memory) < 5:
        return ""
    start, end = memory.as_of(STEADY * record.steps) or memory.values[0], float(memory.values.max())
    grown = end - start
    if grown < FLAT * end:
        return f"Memory was flat after the start, at {byte_count(end)}."
    when = int(memory.steps[np.flatnonzero(memory.values >= start + 0.9 * grown)[0]])
    levels = f"from {byte_count(start)} (after a tenth of the run) to {byte_count(end)}"
    return f"Memory grew {levels}, nine tenths of that by step {when:,}."


def in_steps(record: Record) -> float | None:
    """The share of the training time that went into steps; the rest is validation, instruments and checkpoints."""
    speed, seconds, tokens = record.of("perf/tokens_per_second"), record.seconds, record.tokens_per_step
    if len(speed) < 5 or not seconds or not tokens:
        return None
    if record.train.steps[:1].tolist() != [0.0]:
        return None
    # Each value is the mean speed over the steps since the one before.
    stretches = np.diff(np.append(speed.steps[0] - 1, speed.steps))
    return float((stretches * tokens / np.maximum(speed.values, 1e-9)).sum()) / seconds


def _bottleneck(record: Record) -> str:
    share, waits = in_steps(record), record.of("perf/data_share")
    told = []
    waited = _mean(waits)
    if waited is not None:
        verdict = "it waited for its data" if waited > WAITS else "data was no bottleneck"
        told.append(f"{percent(waited)} of the time in steps went into waiting for data: {verdict}")
    if share is not None and 0 < share <= 1:
        rest = 1 - share
        told.append(f"{percent(rest)} of the training time went into validation, instruments and checkpoints")
        if rest > BESIDE:
            told[-1] += " (`--validation.every`, `--probes.every`, `--samples.every` make them rarer)"
    return f"{'; '.join(told)}." if told else ""


def _mean(series: Series) -> float | None:
    return float(series.values.mean()) if len(series) else None


def _breaks(record: Record) -> str:
    """Interruptions, by the events."""
    resumed, paused = record.events_of(Resumed), record.events_of(Paused)
    parts = [plural(len(found), one) for found, one in ((resumed, "resume"), (paused, "pause")) if found]
    stood = [event.seconds for event in record.events_of(Unpaused) if event.seconds is not None]
    if paused and stood:
        parts[-1] += f" of {duration(sum(stood), 2)} in all"
    rewound = [(event.rewound_from, event.step) for event in record.events_of(Rewound)]
    again = sum(max(0, reached - back) for reached, back in rewound if back is not None)
    if again:
        parts.append(f"{plural(again, 'step')} trained twice after going back to a checkpoint")
    return f"Interruptions: {', '.join(parts)}." if parts else ""
