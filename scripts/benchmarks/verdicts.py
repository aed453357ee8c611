"""Forecasts against measurements: errors, intervals that held, the noise of seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from lab.errors import NotEnough
from lab.forecasting.curve import reforecast
from lab.forecasting.law import Floor, Forecast, Trained, forecast_loss
from lab.training.schedules import ScheduleConfig, lr_factor
from scripts.benchmarks.measure import Row

PART = 0.3  # of a run, after which it is forecast again


def trained(record: dict[str, Any]) -> Trained:
    """A training as the file holds it."""
    curve = tuple((part, loss) for part, loss in record["curve"])
    return Trained(record["size"], record["tokens"], record["loss"], curve, record["seconds"])


def rows_of(lines: Sequence[dict[str, Any]]) -> list[Row]:
    """The rows of all that has been measured."""
    return [*loss_rows(lines), *cost_rows([line for line in lines if line["kind"] == "cost"])]


def loss_rows(lines: Sequence[dict[str, Any]]) -> list[Row]:
    """Errors of the final loss by ladder and by curve, one row a target, then the summary."""
    ladders = {(r["series"], r["number"]): [trained(t) for t in r["trained"]] for r in lines if r["kind"] == "ladder"}
    targets: dict[tuple[str, int], list[Trained]] = {}
    floors = {(r["series"], r["number"]): Floor.of(r.get("baselines", {})) for r in lines if r["kind"] == "target"}
    annealing = {(r["series"], r["number"]): left_to_anneal(r) for r in lines if r["kind"] == "target"}
    for r in lines:
        if r["kind"] == "target":
            targets.setdefault((r["series"], r["number"]), []).append(trained(r["trained"][0]))
    rows: list[Row] = []
    found: dict[str, list[tuple[Forecast, float]]] = {"pilot": [], "at 30 %, ladder": [], "at 30 %, alone": []}
    for key, runs in targets.items():
        if key not in ladders:
            continue
        target, rungs = runs[0], ladders[key]
        so_far = [(part, loss) for part, loss in target.curve if part <= PART + 1e-9]
        try:
            pilot = forecast_loss(rungs, target.size, target.tokens, floor=floors[key]) if rungs else None
            now = {"pilot": pilot} if pilot else {}
            now |= {"at 30 %, ladder": reforecast(so_far, pilot, annealing[key])} if pilot else {}
            now |= {"at 30 %, alone": reforecast(so_far, None, annealing[key])}
        except NotEnough as why:
            rows.append(Row("forecast", f"{key[0]} {key[1]}", "pilot", note=str(why)))
            continue
        for name, forecast in now.items():
            found[name].append((forecast, target.loss))
        note = ", ".join(f"{name} {error(f, target.loss):+.1%}{held(f, target.loss)}" for name, f in now.items())
        rows.append(Row("forecast", f"{key[0]} {key[1]}", "final loss", value=target.loss, unit="nats", note=note))
    rows += [summary(name, pairs) for name, pairs in found.items() if pairs]
    apart = [abs(runs[0].loss / runs[1].loss - 1) for runs in targets.values() if len(runs) > 1]
    if apart:
        note = f"two seeds of {len(apart)} targets: at worst {max(apart):.2%} apart"
        rows.append(
            Row("forecast", "seeds", "noise", value=100 * statistics.median(apart), unit="% apart, median", note=note)
        )
    return rows


def left_to_anneal(line: dict[str, Any]) -> float:
    """By how much the learning rate of a target will still fall when it is forecast again."""
    steps, schedule = line["steps"], ScheduleConfig(**line["draw"]["schedule"])
    return lr_factor(round(PART * steps), steps, schedule) - lr_factor(steps, steps, schedule)


def error(forecast: Forecast, truth: float) -> float:
    """How far off, relative, with its sign."""
    return forecast.value / truth - 1


def held(forecast: Forecast, truth: float) -> str:
    """A mark: whether the interval contained the truth."""
    return " ✓" if forecast.low <= truth <= forecast.high else " ✗"


def summary(name: str, pairs: Sequence[tuple[Forecast, float]]) -> Row:
    """Median and worst error, and how many intervals held."""
    off = [abs(error(f, truth)) for f, truth in pairs]
    inside = sum(f.low <= truth <= f.high for f, truth in pairs)
    width = statistics.median((f.high - f.low) / f.value / 2 for f, _ in pairs)
    note = f"worst {max(off):.1%}; 80 % intervals held {inside} of {len(pairs)} (half a width: {width:.1%})"
    return Row(
        "forecast", f"{len(pairs)} targets", name, value=100 * statistics.median(off), unit="% off, median", note=note
    )


def cost_rows(lines: Sequence[dict[str, Any]]) -> list[Row]:
    """Errors of minutes and memory: one row a configuration, then the summary."""
    if not lines:
        return []
    rows = []
    names = ("minutes", "memory", "memory, no step made", "its growth")
    off: dict[str, list[float]] = {name: [] for name in names}
    for r in lines:
        forecast, measured_minutes = r["minutes"][0], r["minutes"][3]
        counted, rehearsed, measured = r["memory"]
        growth = (counted - r["base"]) / (measured - r["base"])
        parts = (forecast / measured_minutes, rehearsed / measured, counted / measured, growth)
        now = {name: part - 1 for name, part in zip(names, parts, strict=True)}
        for name, value in now.items():
            off[name].append(value)
        note = f"{60 * forecast:.1f} s forecast, {60 * measured_minutes:.1f} s measured; " + ", ".join(
            f"{k} {v:+.1%}" for k, v in now.items()
        )
        rows.append(Row("forecast", f"{r['series']} {r['number']}", "cost", note=note))
    for name, values in off.items():
        sizes = [abs(v) for v in values]
        note = f"worst {max(sizes):.1%}; within 10 %: {sum(s <= 0.1 for s in sizes)} of {len(sizes)}"
        rows.append(
            Row(
                "forecast",
                f"{len(sizes)} random",
                name,
                value=100 * statistics.median(sizes),
                unit="% off, median",
                note=note,
            )
        )
    return rows
