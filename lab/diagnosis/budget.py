"""How tokens are spent: the size of a batch, the length of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.diagnosis.evidence import Evidence
from lab.diagnosis.finding import Family, Found, Level
from lab.runs import metrics

BUDGET = Family("budget")


@BUDGET.rule(
    "Up to the critical batch size, twice the tokens a step save half of the steps; far beyond it they save none, "
    "because the gradient has hardly any noise left (McCandlish et al. 2018). It grows as the loss falls.",
    "fewer data.tokens_per_step and more steps, for the same tokens",
    "far below the critical batch: more tokens a step, with a higher learning rate",
)
def batch_size(evidence: Evidence, limits: Any) -> Found | None:
    """The batch is far from the critical batch size."""
    curve, tokens = evidence[metrics.STATS_CRITICAL_BATCH], evidence.facts.tokens_per_step
    if len(curve) < limits.batch_looks or not tokens or (evidence.progress or 0) < limits.batch_progress:
        return None
    part = curve.tail(max(int(limits.batch_looks), len(curve) // 2))
    critical = float(np.median(part.values))
    ratio = tokens / critical
    if limits.batch_small <= ratio <= limits.batch_large:
        return None
    large = ratio > limits.batch_large
    what = f"a step has {tokens:,.0f} tokens, and the critical batch is about {critical:,.0f}"
    level: Level = "warning" if large else "note"
    bar = limits.batch_large if large else limits.batch_small
    return Found(level, what, int(part.steps[0]), metrics.STATS_CRITICAL_BATCH, critical, tokens / bar)


@BUDGET.rule(
    "Loss falls with parameters and with tokens; for given FLOPs the best ratio is some 20 tokens a parameter. With "
    "far fewer, a smaller model reaches the same loss in less time.",
    "a smaller model (a preset of configs/model) for more steps",
    "a longer horizon: --horizon.tokens_per_parameter 20",
)
def undertrained(evidence: Evidence, limits: Any) -> Found | None:
    """The plan has too few tokens for its parameters."""
    ratio = evidence.facts.tokens_per_parameter
    if ratio is None or ratio >= limits.short_trained or evidence.is_try(limits):
        return None
    if not len(evidence[metrics.TRAIN_LOSS]):
        return None
    level: Level = "warning" if ratio < limits.undertrained else "note"
    return Found(level, f"the run plans {ratio:.2g} tokens a parameter", 0, None, ratio, limits.short_trained)


@BUDGET.rule(
    "Once its capacity is used up, a small model gains nothing from more tokens. Training past 20 tokens a parameter "
    "pays where the model is to be cheap to use, and no longer where the curve is flat.",
    "a larger model for the same FLOPs",
    "a shorter horizon",
)
def overtrained(evidence: Evidence, limits: Any) -> Found | None:
    """Far past the compute-optimal length; a warning once nothing is gained any more."""
    ratio, losses = evidence.facts.tokens_per_parameter, evidence[metrics.TRAIN_LOSS]
    if ratio is None or ratio < limits.overtrained or evidence.facts.baseline("floor") or not len(losses):
        return None
    part = losses.between(0.6 * evidence.step)
    half, what = len(part) // 2, f"the run plans {ratio:,.0f} tokens a parameter"
    gain = 1 - float(part.values[half:].mean() / part.values[:half].mean()) if half >= 10 else 1.0
    if gain > limits.overtrained_gain or (evidence.progress or 0) < limits.overtrained_progress:
        return Found("note", what, 0, None, ratio, limits.overtrained)
    what += f", and the last fifth of those trained on lowered the loss by {gain:.1%}"
    return Found("warning", what, int(part.steps[half]), metrics.TRAIN_LOSS, gain, limits.overtrained_gain)
