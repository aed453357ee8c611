"""Updates that are too large, too small, or clipped."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.diagnosis.evidence import Evidence, unbroken_since
from lab.diagnosis.finding import Family, Found, Level
from lab.runs import metrics

LEARNING_RATE = Family("learning_rate")
LOOKS = 3


@LEARNING_RATE.rule(
    "A step that changes a layer by a large part of its own norm undoes what the last steps learned: the loss stays "
    "higher than it could be, or rises.",
    "a third of model.optimizer.lr (muon_lr), until stats/update_ratio stays near 0.01 to 0.03 at the peak",
    "a longer warm-up; model.config.qk_norm: true allows higher rates",
)
def lr_too_high(evidence: Evidence, limits: Any) -> Found | None:
    """Updates are too large."""
    worst: Found | None = None
    for layer, curve in evidence.layers(metrics.STATS_UPDATE_RATIO).items():
        steps, ratios = curve.steps, curve.values
        if len(ratios) < LOOKS:
            continue
        # Large updates make large weights, and large weights small ratios: a ratio that is low again proves nothing.
        high = np.flatnonzero(np.convolve(ratios > limits.update_ratio_high, np.ones(LOOKS), "valid") == LOOKS)
        if not len(high):
            continue
        top = float(ratios[high[0] :].max())
        if worst is None or top > (worst.value or 0):
            what = f"one step changes layer {layer} by up to {top:.0%} of its norm"
            metric = metrics.of_layer(metrics.STATS_UPDATE_RATIO, layer)
            worst = Found("warning", what, int(steps[high[0]]), metric, top, limits.update_ratio_high)
    return worst


@LEARNING_RATE.rule(
    "Weights that change by less than a thousandth a step, even at the peak, need a hundred thousand steps to become "
    "different weights.",
    "three to ten times model.optimizer.lr (muon_lr), until stats/update_ratio is near 0.01 at the peak",
)
def lr_too_low(evidence: Evidence, limits: Any) -> Found | None:
    """Updates are too small."""
    curves = list(evidence.layers(metrics.STATS_UPDATE_RATIO).values())
    progress = None if evidence.is_try(limits) else evidence.progress
    if not curves or progress is None or progress < limits.lr_low_progress or min(map(len, curves)) < LOOKS:
        return None
    rates = evidence[metrics.TRAIN_LR].values
    top = max(float(curve.values.max()) for curve in curves)
    warming = len(rates) > 1 and rates[-1] > 1.001 * rates[:-1].max()
    if top >= limits.update_ratio_low or warming:
        return None
    what = f"no step has changed any layer by more than {top:.2%} of its norm"
    return Found("warning", what, 0, metrics.STATS_UPDATE_RATIO, top, limits.update_ratio_low)


@LEARNING_RATE.rule(
    "Gradients that keep growing announce a loss that rises: the loss surface becomes steeper and steeper.",
    "half of the learning rate from here on: python -m lab fit --fork RUN@STEP",
    "model.optimizer.weight_decay: 0.1; model.config.qk_norm: true",
)
def gradient_growth(evidence: Evidence, limits: Any) -> Found | None:
    """The gradient norm has grown many times over."""
    part = evidence[metrics.TRAIN_GRAD_NORM].between(evidence.span(0.05, 10))
    steps, norms = part.steps, part.values
    if len(norms) < 40:
        return None
    early, late = float(np.median(norms[: len(norms) // 2])), float(np.median(norms[-max(10, len(norms) // 10) :]))
    if early <= 0 or late < limits.gradient_growth * early:
        return None
    above = unbroken_since(norms > limits.gradient_growth / 2 * early, 5)
    since = int(steps[above]) if above is not None else int(steps[len(norms) // 2])
    what = f"the gradient norm has grown from {early:.2g} to {late:.2g}"
    return Found("warning", what, since, metrics.TRAIN_GRAD_NORM, late, limits.gradient_growth * early)


@LEARNING_RATE.rule(
    "Clipping is for the exceptional batch. Where every gradient is clipped to a small part of its norm, the threshold "
    "acts as a second learning rate: with plain SGD it slows the run, with Adam it hides which steps were exceptional.",
    "model.optimizer.clip: 1.0, or above the usual train/grad_norm",
    "where gradients are large by themselves: a lower learning rate, a longer warm-up, smaller initial weights",
)
def clipping_always(evidence: Evidence, limits: Any) -> Found | None:
    """Nearly every gradient is clipped."""
    clip = evidence.facts.number("model.optimizer.clip")
    part = evidence[metrics.TRAIN_GRAD_NORM].between(evidence.span(0.05, 20))
    norms = part.values
    if not clip or len(norms) < 20:
        return None
    share = float((norms > clip).mean())
    if share < limits.clip_share:
        return None
    median = float(np.median(norms))
    level: Level = "warning" if clip / median < limits.clip_cut else "note"
    what = f"{share:.0%} of the gradients were clipped to a norm of {clip:g}; their median norm is {median:.2g}"
    return Found(level, what, int(part.steps[0]), metrics.TRAIN_GRAD_NORM, share, limits.clip_share)
