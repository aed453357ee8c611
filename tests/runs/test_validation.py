"""Which of two validation losses is a run's curve, and which its result."""

from __future__ import annotations

from typing import Any

from lab.runs import metrics
from lab.runs.metrics_log import MetricsDelta, MetricsHistory
from lab.runs.series import Columns
from lab.runs.validation import curve_metric, errors_of, on_whole_or_subset, result_metric

WHOLE, SUBSET, ERROR = metrics.VAL_LOSS, metrics.VAL_SUBSET_LOSS, metrics.VAL_SUBSET_LOSS_ERROR


def run(*rows: dict[str, Any]) -> tuple[Columns, MetricsHistory]:
    history = MetricsHistory()
    history.apply(MetricsDelta(list(rows)))
    return Columns.of(history), history


def test_a_run_with_a_subset_has_its_curve_there_and_its_result_on_the_whole_split() -> None:
    columns, history = run({"step": 0, SUBSET: 4.0, ERROR: 0.1}, {"step": 10, SUBSET: 3.0, ERROR: 0.2, WHOLE: 3.1})
    assert curve_metric(columns) == curve_metric(history) == SUBSET
    assert result_metric(columns) == WHOLE
    assert errors_of(columns, SUBSET).values.tolist() == [0.1, 0.2]
    assert not len(errors_of(columns, metrics.TRAIN_LOSS))


def test_until_its_end_the_subset_is_the_result_too() -> None:
    columns, _ = run({"step": 0, SUBSET: 4.0}, {"step": 10, SUBSET: 3.0})
    assert (curve_metric(columns), result_metric(columns)) == (SUBSET, SUBSET)


def test_a_run_of_an_earlier_version_has_the_whole_split_alone() -> None:
    columns, history = run({"step": 0, WHOLE: 4.0}, {"step": 10, WHOLE: 3.0})
    assert {curve_metric(columns), curve_metric(history), result_metric(columns)} == {WHOLE}
    assert {curve_metric(columns, metrics.VAL_BITS_PER_BYTE), curve_metric(run()[0])} == {
        metrics.VAL_BITS_PER_BYTE,
        WHOLE,
    }


def test_of_one_set_of_weights_the_whole_split_says_more() -> None:
    assert on_whole_or_subset({WHOLE: 3.1, SUBSET: 3.0}) == 3.1
    assert on_whole_or_subset({WHOLE: None, SUBSET: 3.0}) == 3.0
    assert on_whole_or_subset({}) is None
    assert on_whole_or_subset({metrics.VAL_SUBSET_BITS_PER_BYTE: 1.5}, metrics.VAL_BITS_PER_BYTE) == 1.5
