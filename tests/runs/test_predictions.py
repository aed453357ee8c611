"""predictions.json: sealed once, scored when the truth is known, counted over runs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from lab.runs import MetricsWriter, Run, create_run
from lab.runs.predictions import (
    Prediction,
    Predictions,
    calibration,
    close,
    interval_score,
    outcomes,
    read_predictions,
    score,
    seal,
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path, "one")


SAID = [
    Prediction("person", "final_val_loss", 1.9, 1.8, 2.0),
    Prediction("lab", "final_val_loss", 1.7, 1.65, 1.75, method="the ladder"),
    Prediction("person", "minutes", 4),
]


def test_what_is_sealed_stays_sealed(run: Run) -> None:
    seal(run, SAID, "it counts pairs")
    found = read_predictions(run)
    assert found is not None
    assert found.predictions == SAID
    assert found.mental_model == "it counts pairs"
    assert found.sealed
    with pytest.raises(ValueError, match="sealed already"):
        seal(run, [])
    content = json.loads(run.predictions_path.read_text())
    assert content["format"] == 1
    assert set(content["predictions"][0]) == {
        *("by", "quantity", "value", "low", "high", "coverage", "method", "outcome", "inside")
    }


def test_scoring_tells_what_held(run: Run) -> None:
    seal(run, SAID)
    found = score(run, {"final_val_loss": 1.87, "minutes": math.nan})
    assert found is not None
    assert [(p.outcome, p.inside) for p in found.predictions] == [(1.87, True), (1.87, False), (None, None)]
    assert read_predictions(run) == found
    assert score(run, {"final_val_loss": 1.70}) == found  # it went on after all: it was about the first end


def test_predictions_of_a_run_that_was_changed_are_not_scored(run: Run) -> None:
    seal(run, SAID)
    close(run, 100, "the learning rate")
    close(run, 120, "the batch")
    found = score(run, {"final_val_loss": 1.87})
    assert found is not None
    assert found.closed == {"step": 100, "why": "the learning rate"}
    assert not found.scored
    assert not calibration([found])


def test_a_run_without_predictions_has_none(run: Run) -> None:
    assert read_predictions(run) is None
    assert score(run, {"final_val_loss": 1.0}) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"format": 1}', '{"format": 1, "predictions": [3]}', '{"format": 1, "predictions": [{}]}'),
        '{"format": 9, "predictions": []}',
        '{"format": 1, "predictions": [{"by": "lab", "quantity": 3, "value": "x"}]}',
        '{"format": 1, "predictions": [{"by": "them", "quantity": "minutes", "value": 1}]}',
    ],
)
def test_a_damaged_file_is_one_sentence(run: Run, text: str) -> None:
    run.predictions_path.write_text(text)
    with pytest.raises(ValueError, match=r"predictions\.json") as found:
        read_predictions(run)
    assert "\n" not in str(found.value)


def test_outcomes_come_from_the_metrics(run: Run) -> None:
    with MetricsWriter(run) as metrics:
        for step, loss in ((0, 4.0), (10, 2.0), (20, 2.5)):
            metrics.write(step, step, 6.0 * step, {"val/loss": loss, "perf/memory_bytes": 1e6 + step})
    assert outcomes(run.metrics(), sample_quality=40.0) == {
        "final_val_loss": 2.5,
        "minutes": 2.0,
        "peak_memory_bytes": 1e6 + 20,
        "overfit": 1.0,
        "sample_quality": 40.0,
    }


def test_a_run_that_measured_nothing_has_no_outcomes(run: Run) -> None:
    assert set(outcomes(run.metrics()).values()) == {None}
    with MetricsWriter(run) as metrics:
        metrics.write(0, 0, 0.0, {"val/loss": math.nan, "train/loss": math.inf})
    assert outcomes(run.metrics())["final_val_loss"] is None


def test_an_interval_that_says_nothing_scores_worse_than_one_that_holds_as_often_as_it_says() -> None:
    """Proper: over normal outcomes the mean score is least for the central 80 % (± 1.2816 standard deviations)."""
    outcomes = np.random.default_rng(0).normal(10.0, 1.0, 20_000)

    def mean_score(half: float) -> float:
        rows = (Prediction("lab", "minutes", 10.0, 10 - half, 10 + half).scored(float(x)) for x in outcomes)
        return float(np.mean([interval_score(p.low, p.high, p.outcome, p.coverage) for p in rows]))  # type: ignore[arg-type]

    halves = [0.5, 1.0, 1.2816, 1.6, 3.0, 50.0]
    scores = [mean_score(half) for half in halves]
    assert min(scores) == scores[halves.index(1.2816)]
    assert scores[-1] == 100.0, "between -40 and 60: right every time, and a score of its width"


def test_calibration_counts_over_runs() -> None:
    def one(inside: bool) -> Predictions:
        outcome = 1.9 if inside else 2.5
        return Predictions([Prediction("person", "final_val_loss", 2.0, 1.8, 2.2).scored(outcome), SAID[2].scored(5.0)])

    lines = {(c.by, c.quantity): c for c in calibration([one(i < 6) for i in range(10)])}
    assert (lines["person", "final_val_loss"].inside, lines["person", "final_val_loss"].intervals) == (6, 10)
    assert lines["person", "all"].sentence == "your intervals contained the truth 6 of 10 times (80% were meant to)"
    assert lines["person", "minutes"].intervals == 0
    assert lines["person", "minutes"].error == pytest.approx(0.2)
    assert "no intervals" in lines["person", "minutes"].sentence
    # 6 inside: the width alone, 0.4; 4 outside by 0.3: 0.4 + 2 / 0.2 · 0.3; each over its outcome.
    loss = lines["person", "final_val_loss"]
    assert loss.width == pytest.approx(0.6 * 0.4 / 1.9 + 0.4 * 0.4 / 2.5)
    assert loss.score == pytest.approx(0.6 * 0.4 / 1.9 + 0.4 * 3.4 / 2.5)
    assert (lines["person", "all"].score, lines["person", "minutes"].width) == (None, None)
    assert not calibration([])
    assert not calibration([Predictions(SAID)])  # sealed, not scored
