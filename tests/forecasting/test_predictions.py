"""Predictions around a run: what the lab says, and how samples are scored."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from lab.data.vocabulary import ByteTokenizer
from lab.forecasting.law import Forecast
from lab.forecasting.predictions import any_mental_model, final_loss_of, lab_says, sample_quality, score_predictions
from lab.model import GPTConfig
from lab.runs import Run, SampleWriter, create_run
from lab.runs.predictions import Prediction, Predictions, seal

CONFIG = GPTConfig(n_layers=1, n_heads=1, d_model=8, context_length=8, vocab_size=256)
FORECAST = Forecast(2.0, 1.5, 2.5, "a plan")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path / "runs", "fox")


def data_of(text: str) -> Any:
    tokenizer = ByteTokenizer()
    ids = np.array(tokenizer.encode(text))
    return cast(Any, SimpleNamespace(tokenizer=tokenizer, token_files={"train": SimpleNamespace(array=lambda: ids)}))


def test_the_lab_says_what_its_plan_said() -> None:
    found = lab_says({"final_val_loss": FORECAST, "not a quantity": FORECAST}, [], CONFIG, 1000, {})
    assert found == [Prediction("lab", "final_val_loss", 2.0, 1.5, 2.5, method="a plan")]
    assert lab_says({}, [], CONFIG, 1000, {}) == []  # no plan, no finished runs


def test_only_an_interval_is_a_forecast_of_the_final_loss() -> None:
    assert final_loss_of(Predictions([Prediction("lab", "final_val_loss", 2.0, 1.5, 2.5, method="a plan")])) == FORECAST
    assert final_loss_of(Predictions([Prediction("lab", "final_val_loss", 2.0)])) is None
    assert final_loss_of(Predictions([Prediction("person", "final_val_loss", 2.0, 1.5, 2.5)])) is None
    assert final_loss_of(None) is None


def test_words_of_the_newest_samples_that_the_text_has(run: Run) -> None:
    data = data_of("the cat sat on the mat")
    assert sample_quality(run, data) is None
    writer = SampleWriter(run)
    writer.write(1, "", "zzz zzz")
    writer.write(2, "", "the cat")
    writer.write(2, "", "sat zzz")
    assert sample_quality(run, data) == 75.0


def test_nothing_predicted_is_nothing_scored(run: Run) -> None:
    assert score_predictions(run, data_of("x")) is None
    assert not any_mental_model(str(run.path.parent))
    seal(run, [], mental_model="it counts")
    assert any_mental_model(str(run.path.parent))
