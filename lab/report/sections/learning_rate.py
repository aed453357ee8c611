"""Learning rate and batch size: their effects, as far as one run shows them."""

from __future__ import annotations

import numpy as np

from lab.figures.curves import Panel, draw_curves
from lab.report.document import Block, Picture, Section, bullets
from lab.report.formatting import loss, number, percent, plural
from lab.report.loss_curve import smooth, warm_up_and_decay
from lab.report.run_record import RunRecord
from lab.runs import metrics
from lab.runs.events import LrChanged
from lab.units import count

POINTS = 1500  # of a line in a panel: more than it has pixels
CLOSE = 3.0  # batch and critical batch within this factor count as equal: the measurement is no sharper
OFTEN = 0.5  # share of clipped steps above which the threshold decides the size of updates


def learning_rate(record: RunRecord) -> Section:
    """Curves, and sentences on warm-up, decay, changes, clipping and gradient noise."""
    panels = _panels(record)
    blocks: list[Block] = []
    if panels:
        caption = "Learning rate, gradient norm before clipping, clipped steps, critical batch; logarithmic steps."
        blocks.append(Picture("rates", lambda dark: draw_curves(panels, log_x=True, dark=dark), caption))
    told = [_warm_up(record), _decay(record), *_changes(record), _clipping(record), _norms(record), _noise(record)]
    return Section("Learning rate and batch size", blocks + bullets(told))


def _panels(record: RunRecord) -> list[Panel]:
    panels = []
    clip = record.facts.number("model.optimizer.clip")
    for metric, title, unit, log_y in (
        (metrics.TRAIN_LR, "Learning rate", "", False),
        (metrics.TRAIN_GRAD_NORM, "Gradient norm", "before clipping", True),
        (metrics.TRAIN_CLIPPED, "Clipped", "share of the steps", False),
        (metrics.STATS_CRITICAL_BATCH, "Critical batch", "tokens a step", True),
    ):
        series = record.of(metric)
        series = (smooth(series) if metric == metrics.TRAIN_CLIPPED else series).thinned(POINTS)
        if not len(series) or (metric == metrics.TRAIN_CLIPPED and not series.values.any()):
            continue
        guides = {"clip": clip} if metric == metrics.TRAIN_GRAD_NORM and clip is not None else {}
        if metric == metrics.STATS_CRITICAL_BATCH and record.tokens_per_step:
            guides = {"this run's": float(record.tokens_per_step)}
        panels.append(Panel(title, unit, {"": (series.steps, series.values)}, log_y, guides))
    return panels


def _warm_up(record: RunRecord) -> str:
    lr, pair, curve = record.of(metrics.TRAIN_LR), warm_up_and_decay(record.of(metrics.TRAIN_LR)), smooth(record.train)
    if pair is None or lr.steps[0] > 0:  # a fork begins in the middle
        return ""
    peak = number(float(lr.values.max()))
    if pair[0] <= lr.steps[0]:
        return f"There was no warm-up: the learning rate began at its peak, {peak}."
    before, after = curve.as_of(0), curve.as_of(pair[0])
    fell = f"; by then the loss had gone from {loss(before)} to {loss(after)}" if before and len(curve) > 2 else ""
    return f"The learning rate rose to {peak} over {plural(pair[0], 'step')}{fell}."


def _decay(record: RunRecord) -> str:
    """How much the loss fell while the rate fell, and how much at the peak rate in as many steps before."""
    lr, pair, curve = record.of(metrics.TRAIN_LR), warm_up_and_decay(record.of(metrics.TRAIN_LR)), smooth(record.train)
    if pair is None or len(curve) < 20 or lr.last is None or record.status.parent:
        return ""
    peak, end = float(lr.values.max()), int(curve.steps[-1])
    length = end - pair[1]
    if lr.last > 0.5 * peak or length < 10:
        constant = lr.last > 0.999 * peak and end > pair[0]
        return "The learning rate stayed at its peak: what a decay would bring is not known." if constant else ""
    if pair[1] - pair[0] < 0.02 * (end - pair[0]):
        low = percent(lr.last / peak)
        return f"It fell from there to {low} of its peak: the effect of the decay cannot be told from that of time."
    start, stop, before = curve.as_of(pair[1]), curve.last, curve.as_of(max(pair[0], pair[1] - length))
    if start is None or stop is None or before is None:
        return ""
    steps = min(length, pair[1] - pair[0])
    return (
        f"In the {plural(steps, 'step')} before the decay the loss fell by {before - start:.3f}, in the"
        f" {plural(length, 'step')} of the decay (from step {pair[1]:,}) by {start - stop:.3f}."
    )


def _changes(record: RunRecord) -> list[str]:
    """The slope of the loss before and after each change of the learning rate by command."""
    told, width = [], max(10.0, 0.05 * record.steps)
    for event in record.events_of(LrChanged)[:5]:
        if (step := event.step) is None:
            continue
        parts = record.train.between(step - width, step - 1), record.train.between(step, step + width)
        slopes = [100 * float(np.polyfit(part.steps, part.values, 1)[0]) for part in parts if len(part) > 5]
        if len(slopes) == 2:
            told.append(
                f"The learning rate was changed at step {step:,}: before, the loss changed by {slopes[0]:+.3f} in 100"
                f" steps, afterwards by {slopes[1]:+.3f}."
            )
    return told


def _clipping(record: RunRecord) -> str:
    clipped, clip = record.of(metrics.TRAIN_CLIPPED), record.facts.number("model.optimizer.clip")
    if not len(clipped) or clip is None:
        return ""
    share, end = float(clipped.values.mean()), clipped.between(0.8 * record.steps, record.steps)
    if share == 0:
        return f"No gradient was clipped (threshold {number(clip)})."
    late = f", over the last fifth in {percent(float(end.values.mean()))}" if len(end) else ""
    remark = ": the threshold, more than the learning rate, set the size of the updates" if share > OFTEN else ""
    return f"Gradients were clipped (threshold {number(clip)}) in {percent(share)} of the steps{late}{remark}."


def _norms(record: RunRecord) -> str:
    norm = record.of(metrics.TRAIN_GRAD_NORM)
    early, late = norm.between(0.1 * record.steps, 0.3 * record.steps), norm.between(0.8 * record.steps, record.steps)
    if len(norm) < 20 or not len(early) or not len(late):
        return ""
    a, b = float(np.median(early.values)), float(np.median(late.values))
    return f"The median gradient norm was {number(a)} from 10 to 30 % of the run and {number(b)} over its last fifth."


def _noise(record: RunRecord) -> str:
    critical, step = record.of(metrics.STATS_CRITICAL_BATCH), record.tokens_per_step
    if critical.last is None:
        why = "it takes steps of several micro-batches (`--data.tokens_per_step` above batch size × context)"
        return f"The noise of the gradients was not measured: {why}." if record.settings else ""
    if step is None:
        return ""
    told = f"A step had {count(step)} tokens, the critical batch size was {count(critical.last)} at the end"
    if len(critical) > 3 and critical.first:
        told += f" ({count(float(np.median(critical.values[: len(critical) // 4 + 1])))} early on)"
    if critical.last > CLOSE * step:
        # Steps needed go with 1 + critical/step (McCandlish et al. 2018, equation 2.7).
        ratio = critical.last / step
        return f"{told}: there twice as large a step saves {percent(0.5 * ratio / (1 + ratio))} of the steps."
    if critical.last < step / CLOSE:
        return f"{told}: much smaller steps would have learned almost as much from fewer tokens."
    return f"{told}: the batch size was about right."
