"""Prediction against outcome: what was said before the first step, and what came."""

from __future__ import annotations

import math
from collections.abc import Callable

from lab.checks import is_number
from lab.report.document import Block, Section, Table, Words
from lab.report.record import Record
from lab.report.words import day, listed, loss, number, percent, plural
from lab.runs.predictions import Prediction
from lab.units import UNKNOWN, byte_count

NAMES = {
    "final_val_loss": "final validation loss",
    "minutes": "minutes of training",
    "peak_memory_bytes": "peak memory",
    "overfit": "overfitting",
    "sample_quality": "words in its samples that are words",
}
LIKELY = 0.5
"""A chance of overfitting from here on is a yes."""
FORECASTS_AT = (0.1, 0.3, 0.5, 0.8)


def prediction(record: Record) -> Section:
    """The sealed predictions with their outcomes, and the forecasts made while it ran."""
    blocks: list[Block] = []
    rows = predictions(record)
    if rows and record.predictions is not None:
        sealed = record.predictions.sealed
        when = f"Sealed {day(sealed)}, before the first step." if is_number(sealed) else "Never sealed."
        table = [(_who(p), _what(p), _value(p, p.value), _interval(p), _value(p, p.outcome), _verdict(p)) for p in rows]
        blocks += [
            Words(when),
            Table(("by", "what", "predicted", "interval", "came out", "verdict"), table, numbers=(2, 3, 4)),
            Words(score(rows)),
        ]
        methods = list(dict.fromkeys(str(p.method).rstrip(".") for p in rows if p.by == "lab" and p.method))
        blocks += [Words(f"The lab's method: {'; '.join(methods)}.")] if methods else []
    else:
        blocks.append(Words("Nobody predicted how this run would end, neither the lab nor its owner."))
    blocks += _forecasts(record)
    return Section("Prediction and outcome", blocks)


def predictions(record: Record) -> list[Prediction]:
    """What was predicted; of a run that is complete, with the outcomes its own metrics know, scored or not."""
    found = record.predictions.predictions if record.predictions is not None else []
    shown = [p for p in found if all(x is None or is_number(x) for x in (p.value, p.low, p.high, p.outcome))]
    if not record.ended_well:
        return shown
    return [p.scored(record.outcomes.get(p.quantity)) if p.outcome is None else p for p in shown]


def score(rows: list[Prediction]) -> str:
    """How many intervals held, by whom."""
    told = []
    for by, whose in (("lab", "the lab's"), ("person", "your")):
        judged = [p for p in rows if p.by == by and p.inside is not None]
        if judged:
            held = sum(bool(p.inside) for p in judged)
            told.append(f"{held} of {whose} {plural(len(judged), 'interval')} held the truth")
    return f"{listed(told)}." if told else "None of them can be scored yet."


def _who(p: Prediction) -> str:
    return {"lab": "the lab", "person": "you"}.get(p.by, str(p.by))


def _what(p: Prediction) -> str:
    return NAMES.get(p.quantity, p.quantity)


def _value(p: Prediction, found: float | None) -> str:
    if found is None:
        return UNKNOWN
    if p.quantity == "overfit" and found in (0, 1):
        return "yes" if found else "no"
    if p.quantity == "sample_quality":
        return percent(found / 100)
    as_text: dict[str, Callable[[float], str]] = {"final_val_loss": loss, "peak_memory_bytes": byte_count}
    return as_text.get(p.quantity, number)(found)


def _interval(p: Prediction) -> str:
    if p.low is None or p.high is None:
        return "none"
    return f"{_value(p, p.low)} to {_value(p, p.high)} ({percent(p.coverage)})"


def _verdict(p: Prediction) -> str:
    if p.outcome is None:
        return "not known"
    if p.quantity == "overfit":
        return "right" if (p.value >= LIKELY) == bool(p.outcome) else "wrong"
    off = f", {percent(abs(p.value - p.outcome) / abs(p.outcome))} off" if p.outcome else ""
    return f"{'no interval' if p.inside is None else 'inside' if p.inside else 'outside'}{off}"


def _forecasts(record: Record) -> list[Block]:
    series, final = record.of("forecast/final_val_loss"), record.val.last
    if not len(series) or not record.status.total_steps:
        return []
    low, high = record.of("forecast/low"), record.of("forecast/high")
    rows = []
    for share in FORECASTS_AT:
        step = share * record.status.total_steps
        said = series.as_of(step)
        if said is None or series.steps[0] > step or (record.steps < step):
            continue
        bounds = f"{loss(low.as_of(step))} to {loss(high.as_of(step))}"
        off = percent(abs(said - final) / final) if record.ended_well and final else UNKNOWN
        rows.append((percent(share), loss(said), bounds, off))
    if not rows:
        return []
    came = f"; it came out as {loss(final)}" if record.ended_well and final is not None and math.isfinite(final) else ""
    caption = f"The final validation loss as forecast from the curve while it ran{came}"
    return [Table(("of the run", "forecast", "interval", "off by"), rows, numbers=(0, 1, 2, 3), caption=caption)]
