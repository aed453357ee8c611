"""Losses that are too low: the model sees what it should predict, or was trained on its validation text."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab.diagnosis.evidence import Evidence
from lab.diagnosis.finding import Family, Found, Level
from lab.runs import metrics
from lab.runs.series import window_mean

LEAKS = Family("leaks")


@LEAKS.rule(
    "Without a causal mask each position reads the token it is to predict: the loss falls to nearly 0, and the samples "
    "are nonsense, because there is no next token to read while writing.",
    "look at the attention maps: the triangle above the diagonal must be empty",
    "code that replaces lab/model/attention.py has to add causal_mask to the scores",
    explains=("too_good",),
)
def sees_future(evidence: Evidence, limits: Any) -> Found | None:
    """Outputs depend on later tokens."""
    curve = evidence[metrics.AUDIT_SEES_FUTURE]
    seen = np.flatnonzero(curve.values > limits.future)
    if not len(seen):
        return None
    value = float(curve.values[seen[0]])
    what = f"changing later tokens changes earlier predictions, by {value:.2g} of the logits' spread"
    return Found("alarm", what, int(curve.steps[seen[0]]), metrics.AUDIT_SEES_FUTURE, value, limits.future)


@LEAKS.rule(
    "Position t is to predict token t+1. Unshifted labels ask for the present token, labels shifted twice for the one "
    "after the next: either way another task is learned, and the samples are not text.",
    "targets = tokens[1:]: look at one batch, python -m lab batch RUN 0",
    "a data loader that shifts and a model that shifts again make two shifts",
    explains=("too_good", "initial_loss", "memorised"),
)
def labels(evidence: Evidence, limits: Any) -> Found | None:
    """Targets are not the next tokens."""
    following, same = evidence[metrics.AUDIT_NEXT_TARGETS], evidence[metrics.AUDIT_SAME_TARGETS]
    wrong = np.flatnonzero(following.values < limits.targets_next)
    if not len(wrong):
        return None
    step, value = int(following.steps[wrong[0]]), float(following.values[wrong[0]])
    own = same.at(step)
    kind = "the present tokens" if own and own > limits.targets_same else "another token"
    what = f"only {value:.0%} of the targets are the next token; the others are {kind}"
    return Found("alarm", what, step, metrics.AUDIT_NEXT_TARGETS, value, limits.targets_next)


@LEAKS.rule(
    "No model learns a text that well within the first pass: it sees the tokens that it should predict.",
    "look for a missing causal mask and for labels that are not shifted",
    "look for duplicates: a text that repeats itself is predicted from its own past",
)
def too_good(evidence: Evidence, limits: Any) -> Found | None:
    """The loss is too low, too early."""
    name = evidence.validation_metric
    floor, vals = evidence.facts.baseline("floor"), evidence[name]
    if floor and len(vals) and vals.values[-1] < limits.below_floor * floor:
        what = f"{name} is {vals.values[-1]:.3f}, and the text's own entropy is {floor:.3f}"
        bar = limits.below_floor * floor
        return Found("alarm", what, int(vals.steps[-1]), name, float(vals.values[-1]), bar)
    bigram, curve = evidence.facts.baseline("bigram"), evidence[metrics.TRAIN_LOSS]
    epochs = evidence.facts.epochs(evidence.step)
    if (
        not bigram
        or floor is not None
        or epochs is None
        or len(curve) < 10
        or evidence.facts.says("data.repeat_first_batch", True)
    ):
        return None
    low = np.flatnonzero(window_mean(curve.values, 9) < limits.too_good * bigram)
    if not len(low) or (evidence.facts.epochs(int(curve.steps[low[0]])) or 0) > 1:
        return None
    at, value = int(curve.steps[low[0]]), float(curve.values[low[0]])
    what = f"the loss was {value:.2f} at step {at}, {value / bigram:.0%} of the bigram baseline, in the first epoch"
    return Found("warning", what, at, metrics.TRAIN_LOSS, value, limits.too_good * bigram)


@LEAKS.rule(
    "Validation loss says how well the model predicts new text. On text that it was trained on it says how well that "
    "was memorised.",
    "split by documents, before anything is cut or shuffled; take duplicates out",
    "data.val_fraction, or a data.path without the validation text in it",
)
def leakage(evidence: Evidence, limits: Any) -> Found | None:
    """Validation text was trained on."""
    share = evidence[metrics.AUDIT_VAL_IN_TRAIN].at(0)
    if share is not None and share > limits.leak_share:
        what = f"{share:.0%} of the validation stretches are in the training text, verbatim"
        return Found("alarm", what, 0, metrics.AUDIT_VAL_IN_TRAIN, share, limits.leak_share)
    part = evidence.validation.tail(int(limits.leak_looks))
    steps, vals = part.steps, part.values
    text = evidence.facts.epochs(evidence.step) is not None  # a made corpus cannot leak
    early = (evidence.progress or 0) < limits.leak_progress
    if early or not text or len(vals) < limits.leak_looks or evidence.facts.number("model.config.dropout"):
        return None
    trains = [evidence[metrics.TRAIN_LOSS].near(int(step), evidence.span(0.03, 5)) for step in steps]
    pairs = [(train, float(val)) for train, val in zip(trains, vals, strict=True) if train is not None]
    if len(pairs) < len(vals) or any(t - v < max(limits.leak_nats, limits.leak_below * t) for t, v in pairs):
        return None
    train, val = pairs[-1]
    name = evidence.validation_metric
    what = f"{name} ({val:.2f}) lies {1 - val / train:.0%} below train/loss ({train:.2f}), and there is no dropout"
    return Found("warning", what, int(steps[0]), name, 1 - val / train, limits.leak_below)


@LEAKS.rule(
    "Dropout removes parts of the activations at random, which is meant for training alone. Where it stays on, "
    "val/loss is that of the reduced model, and changes from one validation to the next.",
    "model.eval() before validation, model.train() after it",
    "a callback that changes the mode has to change it back",
)
def dropout_in_evaluation(evidence: Evidence, limits: Any) -> Found | None:
    """The model is validated in training mode."""
    curve, dropout = evidence[metrics.AUDIT_TRAINING_MODE], evidence.facts.number("model.config.dropout") or 0.0
    on = np.flatnonzero(curve.values > 0)
    if not len(on):
        return None
    value = float(curve.values[on[0]])
    what = f"{value:.0%} of the model's parts are in training mode while it is validated, with a dropout of {dropout:g}"
    level: Level = "alarm" if dropout else "note"
    return Found(level, what, int(curve.steps[on[0]]), metrics.AUDIT_TRAINING_MODE, value, 0.0)
