"""Metrics as columns: the same as the rows, however they came; averages and thinning of curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.runs import MetricsReader, MetricsWriter, Run
from lab.runs.metrics_log import MetricsDelta
from lab.runs.series import Columns, Series, extremes, trend, window_mean

VALUES = st.lists(st.floats(-10, 10), max_size=60)


def test_points_are_found_by_step() -> None:
    series = Series([0, 2, 4, 8], [5, 4, 3, 2])
    assert (len(series), series.first, series.last) == (4, 5.0, 2.0)
    assert (series.at(4), series.at(3), series.at(9)) == (3.0, None, None)
    assert (series.as_of(3), series.as_of(100), series.as_of(-1)) == (4.0, 2.0, None)
    assert (series.near(3, 1), series.near(6, 1)) == (3.5, None)
    assert series.between(2, 4).values.tolist() == [4, 3]
    assert series.between(3).steps.tolist() == [4, 8]
    assert (series.tail(2).steps.tolist(), series.tail(9).steps.tolist()) == ([4, 8], [0, 2, 4, 8])
    empty = Series()
    assert (empty.first, empty.last, empty.at(0), empty.as_of(0), empty.near(0, 1)) == (None,) * 5


def test_a_part_of_a_series_shares_its_memory_and_never_changes_it() -> None:
    whole = Series([0, 1, 2, 3], [0, 0, 0, 0])
    part = whole.between(0, 1)
    part.extend([1, 5], [9, 9])
    assert (part.steps.tolist(), part.values.tolist()) == ([0, 1, 5], [0, 9, 9])
    assert whole.values.tolist() == [0, 0, 0, 0]


def test_columns_are_the_rows_by_metric() -> None:
    columns = Columns()
    columns.add([{"step": 0, "tokens": 0, "time": 0.0, "train/loss": 5.0, "val/loss": None}])
    columns.add([{"step": 0, "train/loss": 4.0}, {"step": 3, "tokens": 9, "stats/x.layer1": 1, "stats/x.layer0": 2}])
    assert columns.names() == ["stats/x.layer0", "stats/x.layer1", "train/loss", "val/loss"]
    assert (columns["train/loss"].steps.tolist(), columns["train/loss"].last) == ([0], 4.0), "the later counts"
    assert (len(columns["val/loss"]), columns["val/loss"].lost) == (0, [0])
    assert columns["tokens"].values.tolist() == [0, 9]
    assert {layer: series.last for layer, series in columns.layers("stats/x").items()} == {0: 2.0, 1: 1.0}
    assert (columns.step, len(columns["never"])) == (3, 0)


def test_a_rewind_and_a_reset_take_points_back() -> None:
    columns = Columns()
    columns.apply(MetricsDelta([{"step": s, "a": float(s), "b": None} for s in range(10)]))
    columns.apply(MetricsDelta([{"step": 5, "a": 50.0}], rewind=4))
    assert (columns["a"].values.tolist(), columns["b"].lost) == ([0, 1, 2, 3, 4, 50], [0, 1, 2, 3, 4])
    columns.apply(MetricsDelta([{"step": 0, "c": 1.0}], reset=True))
    assert (columns.names(), columns.step) == (["c"], 0)


@settings(max_examples=30, deadline=None)
@given(
    lines=st.lists(
        st.dictionaries(st.sampled_from(["a", "b"]), st.none() | st.floats(-9, 9), min_size=1), min_size=1, max_size=20
    ),
    most=st.integers(1, 300),
)
def test_followed_or_read_at_once_it_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, Any]], most: int
) -> None:
    run = Run(tmp_path_factory.mktemp("run"))
    with MetricsWriter(run) as writer:
        for step, values in enumerate(lines):
            writer.write(step // 2, step, 0.0, values)
    followed, reader = Columns(), MetricsReader(run)
    while True:
        followed.apply(reader.poll(most))
        if not reader.behind:
            break
    whole = Columns.of(run.metrics())
    for name in ("a", "b", "tokens"):
        assert followed[name].steps.tolist() == whole[name].steps.tolist() == run.metrics().series(name)[0]
        assert followed[name].values.tolist() == whole[name].values.tolist() == run.metrics().series(name)[1]


@given(VALUES, st.integers(0, 5), st.integers(0, 5))
def test_a_window_mean_is_the_mean_of_a_window(values: list[float], before: int, after: int) -> None:
    expected = [np.mean(values[max(0, i - before) : i + after + 1]) for i in range(len(values))]
    assert window_mean(values, before, after) == pytest.approx(expected, abs=1e-9)


def test_nan_is_left_out_of_means_and_stays() -> None:
    assert window_mean([1, np.nan, 3], 1, 1).tolist() == pytest.approx([1, np.nan, 3], nan_ok=True)


def test_the_trend_smooths_noise_and_does_not_lag() -> None:
    steps = np.arange(500)
    noisy = 3 - steps / 500 + np.random.default_rng(0).normal(0, 0.1, 500)
    smooth = trend(noisy)
    middle = slice(50, 450)
    line = (3 - steps / 500)[middle]
    assert np.std(smooth[middle] - line) < 0.5 * np.std(noisy[middle] - line)
    assert abs(np.mean(smooth[middle] - line)) < 0.02
    np.testing.assert_allclose(smooth[:4], noisy[:4])  # the steep beginning is not smeared


@given(st.lists(st.floats(-100, 100) | st.just(float("nan")), min_size=1, max_size=300))
def test_trends_lie_between_their_values_and_keep_gaps(values: list[float]) -> None:
    array = np.array(values)
    smooth = trend(array)
    np.testing.assert_array_equal(np.isnan(smooth), np.isnan(array))
    if np.isfinite(array).any():
        assert np.nanmin(smooth) >= np.nanmin(array) - 1e-9
        assert np.nanmax(smooth) <= np.nanmax(array) + 1e-9


def test_there_is_no_trend_of_nothing() -> None:
    assert len(trend([])) == 0


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=400), st.integers(8, 100))
def test_thinning_keeps_beginning_end_and_extremes(values: list[float], most: int) -> None:
    chosen = extremes(values, most)
    assert len(chosen) <= most + 2
    assert (np.diff(chosen) > 0).all()
    assert (chosen[0], chosen[-1]) == (0, len(values) - 1)
    kept = np.array(values)[chosen]
    assert (kept.min(), kept.max()) == (min(values), max(values))


def test_a_series_is_thinned_with_its_steps() -> None:
    values = np.zeros(1000)
    values[555] = 7
    thin = Series(np.arange(1000) * 2, values).thinned(100)
    assert len(thin) <= 102
    assert thin.at(1110) == 7
