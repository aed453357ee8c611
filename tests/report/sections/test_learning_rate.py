"""Learning rate and batch size in sentences."""

from __future__ import annotations

import numpy as np
import pytest

from lab.report.run_record import RunRecord
from lab.report.sections.learning_rate import learning_rate
from tests.report.runs import text_in, with_metrics

STEPS = np.arange(401)


def test_the_numbers_in_sentences(record: RunRecord) -> None:
    text = text_in(learning_rate(record))
    assert "The learning rate rose to 0.0009 over 40 steps; by then the loss had gone from 4.6" in text
    assert "No gradient was clipped (threshold 1)." in text
    assert "The median gradient norm was 1.8 from 10 to 30 % of the run and 1.1 over its last fifth." in text
    assert "The learning rate was changed at step 200: before, the loss changed by" in text
    assert "A step had 64 tokens, the critical batch size was 1,100 at the end" in text
    assert "there twice as large a step saves 47 % of the steps" in text  # r/2 / (1 + r), r = 1,100 / 64


@pytest.mark.parametrize(
    ("rates", "sentence"),
    [
        (np.full(401, 1e-3), "There was no warm-up: the learning rate began at its peak, 0.001."),
        (np.full(401, 1e-3), "The learning rate stayed at its peak: what a decay would bring is not known."),
        (1e-3 * np.where(STEPS < 300, 1, (400 - STEPS) / 100), "steps of the decay (from step 300) by"),
        (1e-3 * np.minimum(1, STEPS / 20) * (1 - STEPS / 401), "the effect of the decay cannot be told from that of"),
    ],
)
def test_warm_up_and_decay(record: RunRecord, rates: np.ndarray, sentence: str) -> None:
    assert sentence in text_in(learning_rate(with_metrics(record, train__lr=rates)))


def test_clipping_is_counted(record: RunRecord) -> None:
    text = text_in(learning_rate(with_metrics(record, train__clipped=np.ones(401))))
    assert (
        "Gradients were clipped (threshold 1) in 100 % of the steps, over the last fifth in 100 %: the threshold"
        in text
    )


@pytest.mark.parametrize(
    ("critical", "sentence"),
    [
        (10.0, "much smaller steps"),
        (64.0, "the batch size was about right"),
        (np.nan, "was not measured: it takes steps of several micro-batches"),
    ],
)
def test_the_batch_against_the_critical_one(record: RunRecord, critical: float, sentence: str) -> None:
    shown = with_metrics(record, stats__critical_batch=np.full(401, critical))
    assert sentence in text_in(learning_rate(shown))
