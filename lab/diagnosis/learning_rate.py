"""Steps that are too large, too small, or cut."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.diagnosis.curves import run_of
from lab.diagnosis.finding import Family, Found
from lab.diagnosis.history import History

LEARNING_RATE = Family("learning_rate")
LOOKS = 3


@LEARNING_RATE.rule(
    "A step that moves a layer by a good part of its own size throws away what the last steps found: the loss hangs "
    "higher than it could, or climbs.",
    "a third of model.optimizer.lr (muon_lr), until stats/update_ratio stays near 0.01 to 0.03 at the peak",
    "a longer warm-up; model.config.qk_norm: true allows higher rates",
)
def lr_too_high(history: History, limits: Any) -> Found | None:
    """Updates move layers too far."""
    worst: Found | None = None
    for layer, curve in enumerate(history.layers("stats/update_ratio")):
        steps, ratios = curve.steps, curve.values
        if len(ratios) < LOOKS:
            continue
        # Large updates make large weights, and large weights small ratios: what is over by now did its harm.
        high = np.flatnonzero(np.convolve(ratios > limits.update_ratio_high, np.ones(LOOKS), "valid") == LOOKS)
        if not len(high):
            continue
        top = float(ratios[high[0] :].max())
        if worst is None or top > (worst.value or 0):
            what = f"one step moves layer {layer} by up to {top:.0%} of its size"
            metric = f"stats/update_ratio.layer{layer}"
            worst = Found("warning", what, int(steps[high[0]]), metric, top, limits.update_ratio_high)
    return worst


@LEARNING_RATE.rule(
    "Weights that move by less than a thousandth a step, even at the peak, need a hundred thousand steps to become "
    "something else.",
    "three to ten times model.optimizer.lr (muon_lr), until stats/update_ratio is near 0.01 at the peak",
)
def lr_too_low(history: History, limits: Any) -> Found | None:
    """Updates hardly move anything."""
    curves = history.layers("stats/update_ratio")
    progress = None if history.is_try(limits) else history.progress
    if not curves or progress is None or progress < limits.lr_low_progress or min(map(len, curves)) < LOOKS:
        return None
    rates = history["train/lr"].values
    top = max(float(curve.values.max()) for curve in curves)
    warming = len(rates) > 1 and rates[-1] > 1.001 * rates[:-1].max()
    if top >= limits.update_ratio_low or warming:
        return None
    what = f"no step has moved any layer by more than {top:.2%} of its size"
    return Found("warning", what, 0, "stats/update_ratio", top, limits.update_ratio_low)


@LEARNING_RATE.rule(
    "Gradients that keep growing come before a loss that climbs: the weights move into a steeper and steeper region.",
    "half of the learning rate from here on: python -m lab fit --fork RUN@STEP",
    "model.optimizer.weight_decay: 0.1; model.config.qk_norm: true",
)
def gradient_growth(history: History, limits: Any) -> Found | None:
    """The gradient norm has grown many times over."""
    steps, norms = history["train/grad_norm"].since(history.span(0.05, 10))
    if len(norms) < 40:
        return None
    early, late = float(np.median(norms[: len(norms) // 2])), float(np.median(norms[-max(10, len(norms) // 10) :]))
    if early <= 0 or late < limits.gradient_growth * early:
        return None
    above = run_of(norms > limits.gradient_growth / 2 * early, 5)
    since = int(steps[above]) if above is not None else int(steps[len(norms) // 2])
    what = f"the gradient norm has grown from {early:.2g} to {late:.2g}"
    return Found("warning", what, since, "train/grad_norm", late, limits.gradient_growth * early)


@LEARNING_RATE.rule(
    "Clipping is for the exceptional batch. Where every gradient is cut, and to a small part of itself, the threshold "
    "is a second learning rate: with plain SGD it slows the run, with Adam it hides which steps were exceptional.",
    "model.optimizer.clip: 1.0, or above the usual train/grad_norm",
    "where gradients are large by themselves: a lower learning rate, a longer warm-up, smaller initial weights",
)
def clipping_always(history: History, limits: Any) -> Found | None:
    """Nearly every gradient is cut to a small part of itself."""
    clip = history.facts.number("model.optimizer.clip")
    steps, norms = history["train/grad_norm"].since(history.span(0.05, 20))
    if not clip or len(norms) < 20:
        return None
    median, share = float(np.median(norms)), float((norms > clip).mean())
    if share < limits.clip_share:
        return None
    level = "warning" if clip / median < limits.clip_cut else "note"
    what = f"{share:.0%} of the gradients were cut to a norm of {clip:g}; their usual norm is {median:.2g}"
    return Found(level, what, int(steps[0]), "train/grad_norm", share, limits.clip_share)
