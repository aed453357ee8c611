"""A loss that stays at a baseline: the baseline says what the model has not learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.diagnosis.evidence import Evidence
from lab.diagnosis.finding import Family, Found
from lab.runs import metrics
from lab.runs.series import window_mean

PLATEAUS = Family("plateaus")
LEAST_VALIDATIONS = 4


def resting(evidence: Evidence, baseline: str, share: float, limits: Any) -> tuple[str, int, float, float] | None:
    """`(metric, since, loss, baseline)` where the loss has stayed at a baseline for `share` of the run, flat.

    Baselines are scored on the validation text, so its loss is compared; the training loss only where there is none.
    """
    level, span = evidence.facts.baseline(baseline), evidence.span(share, 20)
    if not level or evidence.step < span:
        return None
    metric, steps, curve = evidence.validation_metric, evidence.validation.steps, evidence.validation.values
    if (steps >= evidence.step - span).sum() < LEAST_VALIDATIONS:
        metric, steps = metrics.TRAIN_LOSS, evidence[metrics.TRAIN_LOSS].steps
        curve = window_mean(evidence[metrics.TRAIN_LOSS].values, max(10, len(steps) // 20) - 1)
    stretch = curve[np.searchsorted(steps, evidence.step - span) :]
    if len(stretch) < LEAST_VALIDATIONS or (np.abs(stretch / level - 1) > limits.plateau_near).any():
        return None
    if 1 - stretch[-1] / stretch[0] > limits.plateau_slope:
        return None
    outside = np.flatnonzero(np.abs(curve / level - 1) > limits.plateau_near)
    since = int(steps[outside[-1] + 1]) if len(outside) else int(steps[0])
    return metric, since, float(curve[-1]), level


def apart(evidence: Evidence, limits: Any, one: str, other: str) -> bool:
    """Whether two baselines differ enough for a loss that stays at one of them to say something."""
    a, b = evidence.facts.baseline(one), evidence.facts.baseline(other)
    return not (a and b) or abs(a / b - 1) > limits.baselines_apart


@PLATEAUS.rule(
    "At this loss every token is as likely as any other: nothing has been learned, not even which tokens are common. "
    "Some tasks (copying, induction) stay here for long and then fall at once; texts never do.",
    "a higher learning rate; look at stats/update_ratio",
    "python -m lab fit … --config debug/overfit_one_batch: can it learn at all?",
)
def uniform_plateau(evidence: Evidence, limits: Any) -> Found | None:
    """The loss stays at ln(vocabulary)."""
    found = resting(evidence, "uniform", limits.plateau_uniform, limits)
    if found is None:
        return None
    metric, since, loss, level = found
    what = f"the loss stays at {loss:.2f}, that of guessing evenly ({level:.2f})"
    return Found("warning", what, since, metric, loss, level)


@PLATEAUS.rule(
    "The model knows how common each token is and nothing else: neither the present token nor earlier ones reach the "
    "output.",
    "model.config.norm_position: pre; a longer warm-up; another learning rate",
    "look at stats/grad_norm by layer: a first layer far below the last has a vanishing gradient",
)
def unigram_plateau(evidence: Evidence, limits: Any) -> Found | None:
    """The loss stays at the unigram entropy."""
    if not apart(evidence, limits, "unigram", "uniform") or not apart(evidence, limits, "unigram", "bigram"):
        return None
    found = resting(evidence, "unigram", limits.plateau_unigram, limits)
    if found is None:
        return None
    metric, since, loss, level = found
    what = f"the loss stays at {loss:.2f}, that of knowing only how common each token is ({level:.2f})"
    return Found("warning", what, since, metric, loss, level)


@PLATEAUS.rule(
    "The model uses the present token and none of those before it: attention contributes nothing.",
    "look at stats/attn_out_norm against stats/resid_norm, and stats/entropy: does attention have any effect?",
    "model.config.positions: rope; more than one layer; data.context_length: more than a few tokens",
    "a longer run: small models on characters stay here for a while",
)
def bigram_plateau(evidence: Evidence, limits: Any) -> Found | None:
    """The loss stays at the bigram entropy."""
    if not apart(evidence, limits, "bigram", "unigram") or not apart(evidence, limits, "bigram", "floor"):
        return None
    found = resting(evidence, "bigram", limits.plateau_bigram, limits)
    if found is None:
        return None
    metric, since, loss, level = found
    what = f"the loss stays at {loss:.2f}, that of knowing the present token only ({level:.2f})"
    return Found("warning", what, since, metric, loss, level)
