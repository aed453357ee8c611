"""What each instrument was good for: which of them showed something, and which showed it first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.report.curve import spikes
from lab.report.document import Block, Section, Table, Words
from lab.report.record import Record
from lab.report.sections.attention import NAMES, next_to_nothing, strongest
from lab.report.sections.findings import diagnosed
from lab.report.sections.losses import RISE, crossing_of
from lab.report.words import listed, loss, number, plural

AHEAD = 50
"""Steps before a spike of the loss in which one of the gradient norm is said to have announced it."""


@dataclass(frozen=True)
class Sign:
    """Something an instrument showed: at which step, and what."""

    step: int
    instrument: str
    what: str


def instruments(record: Record) -> Section:
    """A table of what was seen in the order of its steps, and the instruments that saw nothing."""
    signs = sorted(signs_of(record), key=lambda sign: sign.step)
    if not signs:
        return Section("What the instruments showed", [])
    rows = [(f"{sign.step:,}", sign.instrument, sign.what) for sign in signs]
    blocks: list[Block] = [
        Table(
            ("step", "instrument", "showed first"), rows, numbers=(0,), caption="In the order in which it could be seen"
        )
    ]
    if remark := _silent(record, {sign.instrument for sign in signs}):
        blocks.append(Words(remark))
    return Section("What the instruments showed", blocks)


def signs_of(record: Record) -> list[Sign]:
    """Everything that can be dated."""
    return [*_of_losses(record), *_of_heads(record), *_of_samples(record), *_of_noise(record), *_of_doctor(record)]


def _of_losses(record: Record) -> list[Sign]:
    found = []
    for name, what in (("unigram", "it uses context"), ("bigram", "it uses more than the token before")):
        step = crossing_of(record, name)
        if step:
            found.append(Sign(step, "training loss", f"below the {name} loss: {what}"))
    val = record.val
    if len(val) > 2:
        lowest = int(val.values.argmin())
        if val.last is not None and val.last > (1 + RISE) * float(val.values[lowest]):
            found.append(
                Sign(
                    int(val.steps[lowest]),
                    "validation",
                    f"its lowest, {loss(float(val.values[lowest]))}: overfitting from here on",
                )
            )
    jumps = sorted(spike.step for spike in spikes(record.of("train/grad_norm")))
    for spike in spikes(record.train)[:3]:
        early = [step for step in jumps if spike.step - AHEAD <= step < spike.step]
        if early:
            found.append(
                Sign(
                    early[0],
                    "gradient norm",
                    f"a spike, {plural(spike.step - early[0], 'step')} before that of the loss",
                )
            )
        found.append(Sign(spike.step, "training loss", f"a spike, from {loss(spike.before)} to {loss(spike.height)}"))
    return found


def _of_heads(record: Record) -> list[Sign]:
    found = [
        Sign(
            head.half_at,
            "probes",
            f"{_a(NAMES[head.kind])} head ({head.name}) half formed, {number(head.score, 2)} in the end",
        )
        for head in strongest(record)
        if head.formed and head.half_at
    ]
    gap = record.of("stats/induction_loss_gap")
    if len(gap) > 2 and gap.last is not None and gap.last > next_to_nothing(record):
        below = np.flatnonzero(gap.values < gap.last / 2)
        at = int(gap.steps[int(below[-1]) + 1 if len(below) else 0])
        found.append(Sign(at, "probes", f"half of the gain from a repeat ({gap.last:.2f} nats in the end)"))
    return found


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _of_samples(record: Record) -> list[Sign]:
    copied = record.of("stats/longest_copy")
    written = record.settings.get("samples.tokens")
    if len(copied) and isinstance(written, int) and float(copied.values.max()) > 0.5 * written:
        at = int(copied.steps[copied.values > 0.5 * written][0])
        return [Sign(at, "samples", "more than half of a sample stands in the training text, verbatim")]
    return []


def _of_noise(record: Record) -> list[Sign]:
    critical, step = record.of("stats/critical_batch"), record.tokens_per_step
    if step and len(critical):
        above = critical.steps[critical.values > step]
        if len(above) and len(above) < len(critical):
            return [Sign(int(above[0]), "gradient noise", f"critical batch above the {step:,} tokens of a step")]
    return []


def _of_doctor(record: Record) -> list[Sign]:
    return [
        Sign(finding.step, "doctor", f"{finding.level}: {finding.what}"[:200])
        for finding in diagnosed(record)
        if finding.level != "note"
    ]


def _silent(record: Record, spoke: set[str]) -> str:
    """Which instruments measured all along and showed nothing that can be dated."""
    measured = {
        "gradient noise": "stats/critical_batch",
        "samples": "stats/longest_copy",
        "probes": "stats/probe_loss",
        "validation": "val/loss",
        "gradient norm": "train/grad_norm",
    }
    silent = [name for name, metric in measured.items() if len(record.of(metric)) and name not in spoke]
    off = [name for name in ("probes", "validation", "gradient norm") if not len(record.of(measured[name]))]
    off += [] if record.samples else ["samples"]
    told = f"Measured all along without showing anything first: {listed(silent)}." if silent else ""
    told += f" Not measured: {listed(off)}." if off else ""
    return told.strip()
