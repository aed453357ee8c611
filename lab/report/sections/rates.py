"""Learning rate and batch size: what their effects were, as far as one run shows them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from lab.checks import is_number
from lab.figures.curves import Panel, draw_curves
from lab.report.curve import smooth, warm_up_and_decay
from lab.report.document import Block, Picture, Points, Section
from lab.report.record import Record
from lab.report.words import loss, number, percent, plural
from lab.runs.events import LrChanged
from lab.runs.series import Series
from lab.units import count

POINTS = 1500
"""Of a line in a panel: more than it has pixels."""
CLOSE = 3.0
"""Batch and critical batch within such a factor are called of one size: the measurement is no sharper."""


def rates(record: Record) -> Section:
    """Sentences on warm-up, decay, changes, clipping and noise; the curves they are read off."""
    told = [_warm_up(record), _decay(record), *_changes(record), _clipping(record), _norms(record), _noise(record)]
    panels = _panels(record)
    blocks: list[Block] = []
    if panels:
        says = (
            "Learning rate, gradient norm before clipping, and what else was measured of the steps; logarithmic steps."
        )
        blocks.append(Picture("rates", lambda dark: _draw(panels, dark), says))
    points = [sentence for sentence in told if sentence]
    return Section("Learning rate and batch size", [*blocks, Points(points)] if points else blocks)


def thinned(series: Series, most: int = POINTS) -> Series:
    """At most so many points, evenly by logarithm of the step, each the mean of its stretch."""
    if len(series) <= most:
        return series
    logs = np.log1p(series.steps - series.steps[0])
    edges = np.searchsorted(logs, np.linspace(0, logs[-1], most + 1)[:-1])
    starts = np.unique(edges)
    sizes = np.diff(np.append(starts, len(series)))
    return Series(series.steps[starts], np.add.reduceat(series.values, starts) / sizes)


def _panels(record: Record) -> list[Panel]:
    panels = []
    clip = record.settings.get("model.optimizer.clip")
    for metric, title, unit, log_y in (
        ("train/lr", "Learning rate", "", False),
        ("train/grad_norm", "Gradient norm", "before clipping", True),
        ("train/clipped", "Clipped", "share of the steps", False),
        ("stats/critical_batch", "Critical batch", "tokens a step", True),
    ):
        series = thinned(record.of(metric))
        if not len(series) or (metric == "train/clipped" and not series.values.any()):
            continue
        guides = {"clip": float(clip)} if metric == "train/grad_norm" and is_number(clip) else {}
        if metric == "stats/critical_batch" and record.tokens_per_step:
            guides = {"this run's": float(record.tokens_per_step)}
        panels.append(Panel(title, unit, {"": (series.steps, series.values)}, log_y, guides))
    return panels


def _draw(panels: list[Panel], dark: bool) -> Figure:
    return draw_curves(panels, log_x=True, dark=dark)


def _warm_up(record: Record) -> str:
    lr, pair = record.of("train/lr"), warm_up_and_decay(record.of("train/lr"))
    if pair is None or lr.steps[0] > 0:  # a fork begins in the middle
        return ""
    peak = float(lr.values.max())
    before, after = smooth(record.train).as_of(0), smooth(record.train).as_of(pair[0])
    if pair[0] <= lr.steps[0]:
        return f"There was no warm-up: the learning rate began at its peak, {number(peak)}."
    fell = (
        f"; by then the loss had gone from {loss(before)} to {loss(after)}"
        if before and after and len(record.train) > 2
        else ""
    )
    return f"The learning rate rose to {number(peak)} over {plural(pair[0], 'step')}{fell}."


def _decay(record: Record) -> str:
    """How much the loss fell at the peak rate and how much while the rate fell, for as many steps."""
    lr, pair, curve = record.of("train/lr"), warm_up_and_decay(record.of("train/lr")), smooth(record.train)
    if pair is None or len(curve) < 20 or lr.last is None or record.status.parent:
        return ""
    peak, end = float(lr.values.max()), int(curve.steps[-1])
    length = end - pair[1]
    if lr.last > 0.5 * peak or length < 10:
        constant = lr.last > 0.999 * peak and end > pair[0]
        return "The learning rate stayed at its peak: what a decay would bring is not known." if constant else ""
    start, stop = curve.as_of(pair[1]), curve.last
    if pair[1] - pair[0] < 0.02 * (end - pair[0]):
        low = percent(lr.last / peak)
        return f"It fell from there to {low} of its peak: what the decay did and what time did cannot be told apart."
    before = curve.as_of(max(pair[0], pair[1] - length))
    if start is None or stop is None or before is None:
        return ""
    steps = min(length, pair[1] - pair[0])
    return (
        f"In the {plural(steps, 'step')} before the decay the loss fell by {before - start:.3f}, in the"
        f" {plural(length, 'step')} of the decay (from step {pair[1]:,}) by {start - stop:.3f}."
    )


def _changes(record: Record) -> list[str]:
    """The slope of the loss before and after each change of the learning rate by hand."""
    told, curve = [], record.train
    for event in record.events_of(LrChanged)[:5]:
        if (step := event.step) is None:
            continue
        width = max(10.0, 0.05 * record.steps)
        slopes = []
        for part in (curve.between(step - width, step - 1), curve.between(step, step + width)):
            if len(part) > 5:
                slopes.append(float(np.polyfit(part.steps, part.values, 1)[0]) * 100)
        if len(slopes) == 2:
            told.append(
                f"The change of the learning rate at step {step:,} bent the curve: before it the loss changed by"
                f" {slopes[0]:+.3f} in 100 steps, after it by {slopes[1]:+.3f}."
            )
    return told


def _clipping(record: Record) -> str:
    clipped, clip = record.of("train/clipped"), record.settings.get("model.optimizer.clip")
    if not len(clipped) or not is_number(clip):
        return ""
    share, end = float(clipped.values.mean()), clipped.between(0.8 * record.steps, record.steps)
    if share == 0:
        return f"Clipping (at {number(clip)}) never acted."
    late = f", over the last fifth in {percent(float(end.values.mean()))}" if len(end) else ""
    remark = ": it, rather than the learning rate, set the size of the updates" if share > 0.5 else ""
    return f"Clipping (at {number(clip)}) acted in {percent(share)} of the steps{late}{remark}."


def _norms(record: Record) -> str:
    norm = record.of("train/grad_norm")
    if len(norm) < 20:
        return ""
    early, late = norm.between(0.1 * record.steps, 0.3 * record.steps), norm.between(0.8 * record.steps, record.steps)
    if not len(early) or not len(late):
        return ""
    a, b = float(np.median(early.values)), float(np.median(late.values))
    return f"The gradient norm was {number(a)} early on (median of 10 to 30 % of the run) and {number(b)} at the end."


def _noise(record: Record) -> str:
    critical, step = record.of("stats/critical_batch"), record.tokens_per_step
    if not len(critical):
        return (
            "How noisy the gradients were was not measured: it takes steps of several micro-batches"
            " (`--data.tokens_per_step` above batch size × context)."
            if record.settings
            else ""
        )
    if step is None or critical.last is None:
        return ""
    factor = critical.last / step
    told = f"A step had {count(step)} tokens, the critical batch size was {count(critical.last)} at the end"
    if len(critical) > 3 and critical.first:
        told += f" ({count(float(np.median(critical.values[: len(critical) // 4 + 1])))} early on)"
    if factor > CLOSE:
        return f"{told}: twice as large a step would have saved almost half of the steps."
    if factor < 1 / CLOSE:
        return f"{told}: much smaller steps would have learned almost as much from fewer tokens."
    return f"{told}: the batch was about right."
