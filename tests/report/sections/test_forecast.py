"""Forecasts and their outcomes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lab.report.run_record import RunRecord
from lab.report.sections.forecast import forecast, predictions, quantity_name, score
from lab.runs.predictions import Prediction, Predictions
from tests.report.runs import text_in, with_metrics


def test_what_was_predicted_and_what_came(record: RunRecord) -> None:
    text = text_in(forecast(record))
    assert "| the lab | final validation loss | 2.000 | 1.900 to 2.100 (80 %) | 2.0" in text
    assert "| you | minutes of training | 60 | 50 to 70 (80 %) | 0.13 | outside" in text
    assert "1 of the lab's 1 interval contained the outcome and 0 of your 1 interval contained the outcome." in text
    assert "The lab's method: a law." in text


def test_yes_or_no_and_percentages(record: RunRecord) -> None:
    rows = [
        Prediction("lab", "overfit", 0.7, outcome=1.0),
        Prediction("person", "sample_quality", 40, low=30, high=50, outcome=45.0, inside=True),
    ]
    text = text_in(forecast(replace(record, predictions=Predictions(rows))))
    assert "| the lab | overfitting | 0.7 | none | yes | right |" in text
    assert "| 40 % | 30 % to 50 % (80 %) | 45 % | inside, 11 % off |" in text
    assert "Never sealed." in text


def test_nothing_predicted_is_said(record: RunRecord) -> None:
    bare = replace(record, predictions=None)
    assert predictions(bare) == []
    assert "Nothing was predicted before this run" in text_in(forecast(bare))
    assert score([]) == "None of them can be scored yet."
    assert quantity_name("new") == "new"


def test_forecasts_during_training_are_shown_by_progress(record: RunRecord) -> None:
    said = np.full(401, 2.2)
    shown = with_metrics(record, forecast__final_val_loss=said, forecast__low=said - 0.2, forecast__high=said + 0.2)
    text = text_in(forecast(shown))
    for share in (10, 30, 50, 80):
        assert f"| {share} % | 2.200 | 2.000 to 2.400 |" in text
