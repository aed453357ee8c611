"""Tokens well or badly spent: the size of a batch, the length of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.diagnosis.finding import Family, Found
from lab.diagnosis.history import History

BUDGET = Family("budget")


@BUDGET.rule(
    "Up to the critical batch, twice the tokens a step save half of the steps; far beyond it they save none, because "
    "the gradient was clear already (McCandlish et al. 2018). It grows as the loss falls.",
    "fewer data.tokens_per_step and more steps, for the same tokens",
    "far below the critical batch: more tokens a step, with a higher learning rate",
)
def batch_size(history: History, limits: Any) -> Found | None:
    """The batch is far from the critical one."""
    curve, tokens = history["stats/critical_batch"], history.facts.of_data("tokens_per_step")
    if len(curve) < limits.batch_looks or not tokens or (history.progress or 0) < limits.batch_progress:
        return None
    steps, values = curve.last(max(int(limits.batch_looks), len(curve) // 2))
    critical = float(np.median(values))
    ratio = tokens / critical
    if limits.batch_small <= ratio <= limits.batch_large:
        return None
    large = ratio > limits.batch_large
    what = f"a step has {tokens:,.0f} tokens, and the critical batch is about {critical:,.0f}"
    bar = limits.batch_large if large else limits.batch_small
    return Found("warning" if large else "note", what, int(steps[0]), "stats/critical_batch", critical, tokens / bar)


@BUDGET.rule(
    "Loss falls with parameters and with tokens, and for given FLOPs there is a best share: some 20 tokens a "
    "parameter. With far fewer, a smaller model would have reached the same loss in less time.",
    "a smaller model (a preset of configs/model) for more steps",
    "a longer horizon: --horizon.tokens_per_parameter 20",
)
def undertrained(history: History, limits: Any) -> Found | None:
    """The plan has too few tokens for its parameters."""
    ratio = history.facts.tokens_per_parameter
    if ratio is None or ratio >= limits.short_trained or not len(history["train/loss"]) or history.is_try(limits):
        return None
    level = "warning" if ratio < limits.undertrained else "note"
    return Found(level, f"the run plans {ratio:.2g} tokens a parameter", 0, None, ratio, limits.short_trained)


@BUDGET.rule(
    "A small model that has seen everything it can take in gains nothing from more of it. Training past 20 tokens a "
    "parameter makes sense where the model is to be cheap to use, and ends where the curve is flat.",
    "a larger model for the same FLOPs",
    "a shorter horizon",
)
def overtrained(history: History, limits: Any) -> Found | None:
    """Far past the compute-optimal length; a warning once nothing is gained any more."""
    ratio = history.facts.tokens_per_parameter
    if ratio is None or ratio < limits.overtrained or history.facts.baseline("floor") or not len(history["train/loss"]):
        return None
    steps, losses = history["train/loss"].since(0.6 * history.step)
    half, what = len(losses) // 2, f"the run plans {ratio:,.0f} tokens a parameter"
    gain = 1 - float(losses[half:].mean() / losses[:half].mean()) if half >= 10 else 1.0
    if gain > limits.overtrained_gain or (history.progress or 0) < limits.overtrained_progress:
        return Found("note", what, 0, None, ratio, limits.overtrained)
    what += f", and the last fifth of what it has seen lowered the loss by {gain:.1%}"
    return Found("warning", what, int(steps[half]), "train/loss", gain, limits.overtrained_gain)
