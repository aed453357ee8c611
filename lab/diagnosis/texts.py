"""What is wrong with the text and the order in which it comes."""

from __future__ import annotations

from typing import Any

from lab.diagnosis.finding import Family, Found
from lab.diagnosis.history import History

TEXTS = Family("texts")
LOOKS = 4


@TEXTS.rule(
    "A batch is to stand for the whole text. Neighbouring passages say the same thing many times, and the subject "
    "drifts from step to step: the gradient follows the chapter, and the loss goes in waves.",
    "shuffle the sequences, or the documents before they are joined",
)
def unshuffled(history: History, limits: Any) -> Found | None:
    """Sequences come in the order of the text."""
    curve = history["audit/consecutive"]
    if len(curve) < LOOKS:
        return None
    steps, shares = curve.steps[:LOOKS], curve.values[:LOOKS]
    if shares.mean() < limits.consecutive or history.facts.says("data.repeat_first_batch", True):
        return None
    what = f"{shares.mean():.0%} of the sequences in a batch begin where the one before them ends"
    return Found("warning", what, int(steps[0]), "audit/consecutive", float(shares.mean()), limits.consecutive)


@TEXTS.rule(
    "One batch again and again is a test of whether a model can learn at all. It will know that batch by heart and "
    "nothing else.",
    "data.repeat_first_batch: false",
    explains=("overfitting", "memorised", "too_good"),
)
def repeated_batch(history: History, limits: Any) -> Found | None:
    """Every step learns from the same batch."""
    if not history.facts.says("data.repeat_first_batch", True) or not len(history["train/loss"]):
        return None
    return Found("warning", "every step learns from the same batch (data.repeat_first_batch)", 0)


@TEXTS.rule(
    "A row of the embedding learns when its token occurs. Rows that never do keep their random start, cost memory and "
    "time in every softmax, and in a small model they are most of its weights.",
    "data.tokenizer: bpe with a data.vocab_size that the text can fill, or char",
    "more text",
)
def unseen_rows(history: History, limits: Any) -> Found | None:
    """Much of the vocabulary never occurs."""
    share, vocabulary = history["audit/unseen_rows"].at(0), history.facts.of_data("vocab_size")
    if share is None or not vocabulary or vocabulary < limits.unseen_vocabulary or share <= limits.unseen_share:
        return None
    what = f"{share:.0%} of the vocabulary's {vocabulary:,.0f} tokens never occur in the training text"
    return Found("warning", what, 0, "audit/unseen_rows", share, limits.unseen_share)
