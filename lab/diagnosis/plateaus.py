"""A loss that rests on a line: the line says what the model has not found out."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.diagnosis.curves import smooth
from lab.diagnosis.finding import Family, Found
from lab.diagnosis.history import History

PLATEAUS = Family("plateaus")
LEAST_VALIDATIONS = 4


def resting(history: History, line: str, share: float, limits: Any) -> tuple[str, int, float, float] | None:
    """`(metric, since, loss, line)` where the loss has stayed at a baseline for `share` of the run, flat.

    Baselines are scored on the validation text, so its loss is compared; the training loss only where there is none.
    """
    level, span = history.facts.baseline(line), history.span(share, 20)
    if not level or history.step < span:
        return None
    metric, steps, curve = "val/loss", history["val/loss"].steps, history["val/loss"].values
    if (steps >= history.step - span).sum() < LEAST_VALIDATIONS:
        metric, steps = "train/loss", history["train/loss"].steps
        curve = smooth(history["train/loss"].values, max(10, len(steps) // 20))
    stretch = curve[np.searchsorted(steps, history.step - span) :]
    if len(stretch) < LEAST_VALIDATIONS or (np.abs(stretch / level - 1) > limits.plateau_near).any():
        return None
    if 1 - stretch[-1] / stretch[0] > limits.plateau_slope:
        return None
    outside = np.flatnonzero(np.abs(curve / level - 1) > limits.plateau_near)
    since = int(steps[outside[-1] + 1]) if len(outside) else int(steps[0])
    return metric, since, float(curve[-1]), level


def apart(history: History, limits: Any, one: str, other: str) -> bool:
    """Whether two baselines are so far apart that resting on the one says something."""
    a, b = history.facts.baseline(one), history.facts.baseline(other)
    return not (a and b) or abs(a / b - 1) > limits.baselines_apart


@PLATEAUS.rule(
    "Here every token is as likely as any other: nothing has been learned, not even which tokens are common. Some "
    "tasks (copying, induction) lie here for long and then fall at once; texts never do.",
    "a higher learning rate; look at stats/update_ratio",
    "python -m lab fit … --config configs/debug/overfit_one_batch.yaml: can it learn at all?",
)
def uniform_plateau(history: History, limits: Any) -> Found | None:
    """The loss stays at ln(vocabulary)."""
    found = resting(history, "uniform", limits.plateau_uniform, limits)
    if found is None:
        return None
    metric, since, loss, level = found
    what = f"the loss rests at {loss:.2f}, the line of guessing evenly ({level:.2f})"
    return Found("warning", what, since, metric, loss, level)


@PLATEAUS.rule(
    "The model knows how common each token is and does not look at any other token: neither the present nor earlier "
    "ones reach the output.",
    "model.config.norm_position: pre; a longer warm-up; another learning rate",
    "look at stats/grad_norm by layer: a first layer far below the last has a vanishing gradient",
)
def unigram_plateau(history: History, limits: Any) -> Found | None:
    """The loss stays at the unigram entropy."""
    if not apart(history, limits, "unigram", "uniform") or not apart(history, limits, "unigram", "bigram"):
        return None
    found = resting(history, "unigram", limits.plateau_unigram, limits)
    if found is None:
        return None
    metric, since, loss, level = found
    what = f"the loss rests at {loss:.2f}, the line of knowing only how common each token is ({level:.2f})"
    return Found("warning", what, since, metric, loss, level)


@PLATEAUS.rule(
    "The model makes the best of the present token and nothing of those before it: attention brings nothing home.",
    "look at stats/attn_out_norm against stats/resid_norm, and stats/entropy: does attention do anything?",
    "model.config.positions: rope; more than one layer; data.context_length: more than a few tokens",
    "a longer run: small models on characters rest here for a while",
)
def bigram_plateau(history: History, limits: Any) -> Found | None:
    """The loss stays at the bigram entropy."""
    if not apart(history, limits, "bigram", "unigram") or not apart(history, limits, "bigram", "floor"):
        return None
    found = resting(history, "bigram", limits.plateau_bigram, limits)
    if found is None:
        return None
    metric, since, loss, level = found
    what = f"the loss rests at {loss:.2f}, the line of knowing the present token only ({level:.2f})"
    return Found("warning", what, since, metric, loss, level)
