"""What each instrument was good for: which of them showed something, and which showed it first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.diagnosis.stability import spikes
from lab.report.document import Block, Paragraph, Section, Table
from lab.report.formatting import listed, loss, number, plural
from lab.report.loss_curve import crossing_of, loss_spikes
from lab.report.run_record import RunRecord
from lab.report.sections.attention import label, next_to_nothing, strongest
from lab.report.sections.findings import problems
from lab.report.sections.losses import overfits
from lab.runs import metrics

AHEAD = 50  # steps before a spike of the loss within which one of the gradient norm announced it
MEASURED = {
    "gradient noise": metrics.STATS_CRITICAL_BATCH,
    "samples": metrics.STATS_LONGEST_COPY,
    "reference texts": metrics.STATS_PROBE_LOSS,
    "validation": metrics.VAL_LOSS,
    "gradient norm": metrics.TRAIN_GRAD_NORM,
}
"""Instrument → a metric that it always logs."""


@dataclass(frozen=True)
class Sign:
    """What an instrument showed, and at which step."""

    step: int
    instrument: str
    what: str


def instruments(record: RunRecord) -> Section:
    """A table of what was seen in the order of its steps, and the instruments that showed nothing."""
    signs = sorted(signs_of(record), key=lambda sign: sign.step)
    if not signs:
        return Section("What the instruments showed", [])
    rows = [(f"{sign.step:,}", sign.instrument, sign.what) for sign in signs]
    headings, caption = ("step", "instrument", "showed first"), "In the order in which it could be seen"
    blocks: list[Block] = [Table(headings, rows, numbers=(0,), caption=caption)]
    if remark := _silent(record, {sign.instrument for sign in signs}):
        blocks.append(Paragraph(remark))
    return Section("What the instruments showed", blocks)


def signs_of(record: RunRecord) -> list[Sign]:
    """Everything that has a step."""
    found = [*_of_losses(record), *_of_spikes(record), *_of_heads(record), *_of_samples(record), *_of_noise(record)]
    return found + [Sign(f.step, "diagnosis", f"{f.level}: {f.what}"[:200]) for f in problems(record)]


def _of_losses(record: RunRecord) -> list[Sign]:
    found = []
    for name, what in (("unigram", "it uses context"), ("bigram", "it uses more than the token before")):
        if step := crossing_of(record, name):
            found.append(Sign(step, "training loss", f"below the {name} loss: {what}"))
    if record.best is not None and overfits(record):
        step, lowest = record.best
        found.append(Sign(step, "validation", f"its lowest loss, {loss(lowest)}: overfitting from here on"))
    return found


def _of_spikes(record: RunRecord) -> list[Sign]:
    found = []
    jumps = [spike.step for spike in spikes(record.of(metrics.TRAIN_GRAD_NORM), record.limits, least=0)]
    for spike in loss_spikes(record)[:3]:
        early = [step for step in jumps if spike.step - AHEAD <= step < spike.step]
        if early:
            ahead = f"a spike, {plural(spike.step - early[0], 'step')} before that of the loss"
            found.append(Sign(early[0], "gradient norm", ahead))
        found.append(Sign(spike.step, "training loss", f"a spike, from {loss(spike.before)} to {loss(spike.top)}"))
    return found


def _of_heads(record: RunRecord) -> list[Sign]:
    found = []
    for head in strongest(record):
        if head.formed and head.half_at:
            kind = f"{'an' if head.kind[0] in 'aeiou' else 'a'} {label(head.kind)} head ({head.name})"
            found.append(
                Sign(head.half_at, "reference texts", f"{kind} half formed, final score {number(head.score, 2)}")
            )
    gap = record.of(metrics.STATS_INDUCTION_LOSS_GAP)
    if len(gap) > 2 and gap.last is not None and gap.last > next_to_nothing(record):
        below = np.flatnonzero(gap.values < gap.last / 2)
        at = int(gap.steps[int(below[-1]) + 1 if len(below) else 0])
        found.append(Sign(at, "reference texts", f"half of the gain from a repeat ({gap.last:.2f} nats in the end)"))
    return found


def _of_samples(record: RunRecord) -> list[Sign]:
    copied, written = record.of(metrics.STATS_LONGEST_COPY), record.facts.number("samples.tokens")
    if len(copied) and written and float(copied.values.max()) > 0.5 * written:
        at = int(copied.steps[copied.values > 0.5 * written][0])
        return [Sign(at, "samples", "more than half of a sample is a verbatim copy of training text")]
    return []


def _of_noise(record: RunRecord) -> list[Sign]:
    critical, step = record.of(metrics.STATS_CRITICAL_BATCH), record.tokens_per_step
    if step and len(critical):
        above = critical.steps[critical.values > step]
        if len(above) and len(above) < len(critical):
            return [Sign(int(above[0]), "gradient noise", f"critical batch above the {step:,} tokens of a step")]
    return []


def _silent(record: RunRecord, spoke: set[str]) -> str:
    """Which instruments measured and showed nothing with a step, and which did not measure."""
    kept = {**MEASURED, "validation": record.val_metric}
    silent = [name for name, metric in kept.items() if len(record.of(metric)) and name not in spoke]
    off = [name for name in ("reference texts", "validation", "gradient norm") if not len(record.of(kept[name]))]
    off += [] if record.samples else ["samples"]
    told = f"Measured without showing anything first: {listed(silent)}." if silent else ""
    told += f" Not measured: {listed(off)}." if off else ""
    return told.strip()
