"""Faults of the training text and of the order of its sequences."""

from __future__ import annotations

from typing import Any

from lab.diagnosis.evidence import Evidence
from lab.diagnosis.finding import Family, Found
from lab.runs import metrics

TEXTS = Family("texts")
LOOKS = 4


@TEXTS.rule(
    "A batch is to be a random sample of the text. Neighbouring passages are alike, and the subject drifts from step "
    "to step: the gradient follows the passage, and the loss goes up and down with it.",
    "shuffle the sequences, or the documents before they are joined",
)
def unshuffled(evidence: Evidence, limits: Any) -> Found | None:
    """Sequences come in the order of the text."""
    curve = evidence[metrics.AUDIT_CONSECUTIVE]
    if len(curve) < LOOKS:
        return None
    steps, shares = curve.steps[:LOOKS], curve.values[:LOOKS]
    if shares.mean() < limits.consecutive or evidence.facts.says("data.repeat_first_batch", True):
        return None
    what = f"{shares.mean():.0%} of the sequences in a batch begin where the one before them ends"
    return Found("warning", what, int(steps[0]), metrics.AUDIT_CONSECUTIVE, float(shares.mean()), limits.consecutive)


@TEXTS.rule(
    "Training on one batch tests whether a model can learn at all. It memorises that batch and learns nothing else.",
    "data.repeat_first_batch: false",
    explains=("overfitting", "memorised", "too_good"),
)
def repeated_batch(evidence: Evidence, limits: Any) -> Found | None:
    """Every step learns from the same batch."""
    if not evidence.facts.says("data.repeat_first_batch", True) or not len(evidence[metrics.TRAIN_LOSS]):
        return None
    return Found("warning", "every step learns from the same batch (data.repeat_first_batch)", 0)


@TEXTS.rule(
    "A row of the embedding learns when its token occurs. Rows whose tokens never occur keep their initial values, "
    "cost memory and time in every softmax, and are most of the weights of a small model.",
    "data.tokenizer: bpe with a data.vocab_size that the text can fill, or char",
    "more text",
)
def unseen_rows(evidence: Evidence, limits: Any) -> Found | None:
    """Much of the vocabulary never occurs."""
    share, vocabulary = evidence[metrics.AUDIT_UNSEEN_ROWS].at(0), evidence.facts.of_data("vocab_size")
    if share is None or not vocabulary or vocabulary < limits.unseen_vocabulary or share <= limits.unseen_share:
        return None
    what = f"{share:.0%} of the vocabulary's {vocabulary:,.0f} tokens never occur in the training text"
    return Found("warning", what, 0, metrics.AUDIT_UNSEEN_ROWS, share, limits.unseen_share)
