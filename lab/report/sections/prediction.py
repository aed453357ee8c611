"""Prediction against outcome: what was said before the first step, and what came."""

from __future__ import annotations

import math
from typing import Any

from lab.report.document import Block, Section, Table, Words
from lab.report.record import Record, is_number
from lab.report.words import UNKNOWN, day, listed, loss, number, percent, plural, size

QUANTITIES = {
    "final_val_loss": "final validation loss",
    "minutes": "minutes of training",
    "peak_memory_bytes": "peak memory",
    "overfit": "overfitting",
    "sample_quality": "quality of the samples",
}
FORECASTS_AT = (0.1, 0.3, 0.5, 0.8)


def prediction(record: Record) -> Section:
    """The sealed predictions with their outcomes, and the forecasts made while it ran."""
    blocks: list[Block] = []
    rows = predictions(record)
    if rows:
        sealed = record.predictions.get("sealed")
        when = f"Sealed {day(sealed)}, before the first step." if is_number(sealed) else "Never sealed."
        table = [(_who(p), _what(p), _shown(p, "value"), _interval(p), _shown(p, "outcome"), _verdict(p)) for p in rows]
        blocks += [
            Words(when),
            Table(("by", "what", "predicted", "interval", "came out", "verdict"), table, numbers=(2, 3, 4)),
            Words(score(rows)),
        ]
        methods = list(dict.fromkeys(str(p["method"]) for p in rows if p.get("by") == "lab" and p.get("method")))
        blocks += [Words(f"The lab's method: {'; '.join(methods)}.")] if methods else []
    else:
        blocks.append(Words("Nobody predicted how this run would end, neither the lab nor its owner."))
    blocks += _forecasts(record)
    return Section("Prediction and outcome", blocks)


def predictions(record: Record) -> list[dict[str, Any]]:
    """What predictions.json holds that can be shown, with the outcomes that the run's own files know."""
    rows = record.predictions.get("predictions")
    found = [dict(row) for row in rows if isinstance(row, dict) and "quantity" in row] if isinstance(rows, list) else []
    for row in found:
        if row.get("outcome") is None and record.ended_well:
            row["outcome"] = _outcome(record, str(row["quantity"]))
        bounds = (row.get("low"), row.get("outcome"), row.get("high"))
        if row.get("inside") is None and all(map(is_number, bounds)):
            row["inside"] = bounds[0] <= bounds[1] <= bounds[2]
    return found


def _outcome(record: Record, quantity: str) -> float | None:
    memory = record.of("perf/memory_bytes")
    known = {
        "final_val_loss": record.val.last,
        "minutes": None if record.seconds is None else record.seconds / 60,
        "peak_memory_bytes": float(memory.values.max()) if len(memory) else None,
    }
    return known.get(quantity)


def score(rows: list[dict[str, Any]]) -> str:
    """How many intervals held, by whom."""
    told = []
    for by, whose in (("lab", "the lab's"), ("person", "yours")):
        judged = [row for row in rows if row.get("by") == by and isinstance(row.get("inside"), bool)]
        if judged:
            held = sum(row["inside"] for row in judged)
            told.append(f"of {whose}, {held} of {plural(len(judged), 'interval')} held the truth")
    return f"{listed(told)[:1].upper()}{listed(told)[1:]}." if told else "None of them can be scored yet."


def _who(row: dict[str, Any]) -> str:
    return {"lab": "the lab", "person": "you"}.get(str(row.get("by")), str(row.get("by", UNKNOWN)))


def _what(row: dict[str, Any]) -> str:
    return QUANTITIES.get(str(row["quantity"]), str(row["quantity"]))


def _shown(row: dict[str, Any], name: str) -> str:
    return _value(str(row["quantity"]), row.get(name))


def _value(quantity: str, found: Any) -> str:
    if quantity == "overfit" and found in (0, 1, True, False):
        return "yes" if found else "no"
    if not is_number(found):
        return UNKNOWN if found is None else str(found)[:80]
    as_text = {"final_val_loss": loss, "peak_memory_bytes": size}
    return as_text.get(quantity, number)(found)


def _interval(row: dict[str, Any]) -> str:
    if not is_number(row.get("low")) or not is_number(row.get("high")):
        return "none"
    quantity, coverage = str(row["quantity"]), row.get("coverage")
    held = f" ({percent(coverage)})" if is_number(coverage) else ""
    return f"{_value(quantity, row['low'])} to {_value(quantity, row['high'])}{held}"


def _verdict(row: dict[str, Any]) -> str:
    outcome, said = row.get("outcome"), row.get("value")
    if outcome is None:
        return "not known"
    if row["quantity"] == "overfit" or not is_number(outcome) or not is_number(said):
        return "right" if outcome == said else "wrong"
    off = f", {percent(abs(said - outcome) / abs(outcome))} off" if outcome else ""
    inside = row.get("inside")
    return f"{'no interval' if inside is None else 'inside' if inside else 'outside'}{off}"


def _forecasts(record: Record) -> list[Block]:
    series, final = record.of("forecast/final_val_loss"), record.val.last
    if not len(series) or not record.status.total_steps:
        return []
    low, high = record.of("forecast/low"), record.of("forecast/high")
    rows = []
    for share in FORECASTS_AT:
        step = share * record.status.total_steps
        said = series.at(step)
        if said is None or series.steps[0] > step or (record.steps < step):
            continue
        bounds = f"{loss(low.at(step))} to {loss(high.at(step))}"
        off = percent(abs(said - final) / final) if record.ended_well and final else UNKNOWN
        rows.append((percent(share), loss(said), bounds, off))
    if not rows:
        return []
    came = f"; it came out as {loss(final)}" if record.ended_well and final is not None and math.isfinite(final) else ""
    caption = f"The final validation loss as forecast from the curve while it ran{came}"
    return [Table(("of the run", "forecast", "interval", "off by"), rows, numbers=(0, 1, 2, 3), caption=caption)]
