"""Forecast and outcome: what was predicted before the first step and while the run trained, and what came of it."""

from __future__ import annotations

from collections.abc import Callable

from lab.checks import is_number
from lab.report.document import Block, Paragraph, Section, Table
from lab.report.formatting import day, listed, loss, number, percent, plural
from lab.report.run_record import RunRecord
from lab.runs import metrics
from lab.runs.predictions import BY, QUANTITIES, SCORED, Prediction, Predictions
from lab.units import UNKNOWN, byte_count

LIKELY = 0.5  # a probability of overfitting from here on counts as yes
SHARES = (0.1, 0.3, 0.5, 0.8)  # of the run, at which the forecasts made during training are shown


def forecast(record: RunRecord) -> Section:
    """The sealed predictions with their outcomes, and the forecasts made during training."""
    blocks: list[Block] = []
    rows = predictions(record)
    if rows and record.predictions is not None:
        sealed = record.predictions.sealed
        when = f"Sealed {day(sealed)}, before the first step." if is_number(sealed) else "Never sealed."
        when += closing(record.predictions)
        table = [
            (
                BY[p.by][0], quantity_name(p.quantity), _value(p, p.value), _interval(p), _value(p, p.outcome),
                _verdict(p),
            )
            for p in rows
        ]  # fmt: skip
        headings = ("by", "what", "predicted", "interval", "outcome", "verdict")
        blocks += [Paragraph(when), Table(headings, table, numbers=(2, 3, 4)), Paragraph(score(rows))]
        methods = list(dict.fromkeys(str(p.method).rstrip(".") for p in rows if p.by == "lab" and p.method))
        blocks += [Paragraph(f"The lab's method: {'; '.join(methods)}.")] if methods else []
    else:
        blocks.append(Paragraph("Nothing was predicted before this run, neither by the lab nor by you."))
    return Section("Forecast and outcome", blocks + _forecasts(record))


def closing(found: Predictions) -> str:
    """When and why predictions were scored, or are not."""
    if not found.closed or not is_number(step := found.closed.get("step")):
        return ""
    why = found.closed.get("why")
    return f" Scored at step {step:,}." if why == SCORED else f" Closed at step {step:,} and not scored: {why}."


def quantity_name(quantity: str) -> str:
    """What was predicted, in words."""
    return QUANTITIES[quantity].label if quantity in QUANTITIES else quantity


def predictions(record: RunRecord) -> list[Prediction]:
    """What was predicted; of a completed run with its outcomes, as far as its metrics have them."""
    found = record.predictions.predictions if record.predictions is not None else []
    shown = [p for p in found if all(x is None or is_number(x) for x in (p.value, p.low, p.high, p.outcome))]
    if not record.ended_well or (record.predictions is not None and record.predictions.closed):
        return shown
    return [p.scored(record.outcomes.get(p.quantity)) if p.outcome is None else p for p in shown]


def score(rows: list[Prediction]) -> str:
    """How many intervals contained the outcome, by whom."""
    told = []
    for by, (_, whose) in BY.items():
        judged = [p for p in rows if p.by == by and p.inside is not None]
        if judged:
            inside = sum(bool(p.inside) for p in judged)
            told.append(f"{inside} of {whose} {plural(len(judged), 'interval')} contained the outcome")
    return f"{listed(told)}." if told else "None of them can be scored yet."


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


def _forecasts(record: RunRecord) -> list[Block]:
    series, total = record.of(metrics.FORECAST_FINAL_VAL_LOSS), record.status.total_steps
    if not len(series) or not total:
        return []
    final = record.final_val if record.ended_well else None
    low, high = record.of(metrics.FORECAST_LOW), record.of(metrics.FORECAST_HIGH)
    rows = []
    for share in SHARES:
        said = series.as_of(share * total)
        if said is not None and record.steps >= share * total:
            bounds = f"{loss(low.as_of(share * total))} to {loss(high.as_of(share * total))}"
            rows.append((percent(share), loss(said), bounds, percent(abs(said - final) / final) if final else UNKNOWN))
    if not rows:
        return []
    outcome = f"; the outcome was {loss(final)}" if final is not None else ""
    caption = f"The final validation loss as forecast from the curve during training{outcome}"
    return [Table(("of the run", "forecast", "interval", "off by"), rows, numbers=(0, 1, 2, 3), caption=caption)]
