"""Phases, plateaus and the end of curves with a known course."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from lab.diagnosis import limits
from lab.diagnosis.stability import spikes
from lab.report.loss_curve import (
    crossing,
    loss_spikes,
    phases,
    smooth,
    steps_near,
    tail_slope,
    warm_up_and_decay,
    way_down,
)
from lab.report.run_record import RunRecord
from lab.runs.series import Columns, Series
from tests.report.runs import BASELINES, curve, with_metrics


def series(values: np.ndarray) -> Series:
    return Series(np.arange(len(values), dtype=float), np.asarray(values, dtype=float))


def test_phases_end_where_the_curve_crosses_the_baselines(record: RunRecord) -> None:
    found = phases(record)
    assert [phase.level for phase in found][-4:] == ["unigram", "bigram", "xz", None]
    for phase in found[:-1]:
        level = BASELINES[str(phase.level)]
        true = next(step for step in range(401) if curve(step, 400) < level)
        assert abs(phase.end - true) <= 12
    assert found[-1].end == 400
    assert all(a.end == b.start for a, b in pairwise(found))


def test_a_run_without_baselines_or_losses_has_no_phases(record: RunRecord) -> None:
    assert phases(replace(record, data={}, columns=Columns())) == []
    assert phases(replace(record, data={})) == []


def test_a_plateau_is_measured_in_steps(record: RunRecord) -> None:
    values = np.concatenate([np.linspace(4.6, 4.0, 100), np.full(300, 4.0), np.linspace(4.0, 2.0, 100)])
    columns = Columns()
    columns.add({"step": step, "train/loss": value} for step, value in enumerate(values.tolist()))
    flat = replace(record, data={"baselines": {"nats_per_token": {"unigram": 4.0}}}, columns=columns)
    assert 300 <= steps_near(flat, "unigram") <= 340


def test_spikes_are_those_of_the_diagnosis_the_highest_rise_first(record: RunRecord) -> None:
    values = 3 + np.random.default_rng(0).normal(0, 0.02, 1000)
    values[400:410] += np.linspace(2, 0, 10)
    values[600:605] += 4
    spiky = with_metrics(record, train__loss=values)
    assert [spike.step for spike in loss_spikes(spiky)] == [600, 400]
    assert loss_spikes(spiky)[::-1] == spikes(spiky.train, limits())
    assert "jumped" in spiky.holds["loss_spike"].what
    assert loss_spikes(record) == []


def test_the_end_of_a_curve() -> None:
    rng = np.random.default_rng(0)
    falling = tail_slope(series(np.linspace(3, 2, 1000) + rng.normal(0, 0.01, 1000)))
    assert falling is not None
    assert falling[0] == pytest.approx(-0.1, abs=0.01)
    flat = tail_slope(series(2 + rng.normal(0, 0.01, 1000)))
    assert flat is not None
    assert abs(flat[0]) < 3 * flat[1]
    assert tail_slope(series(np.ones(5))) is None
    assert tail_slope(series(np.empty(0))) is None


def test_small_things() -> None:
    assert crossing(series(np.array([3.0, 2.0, 1.0])), 2.5) is None  # not for three in a row
    assert crossing(series(np.array([3.0, 1.0, 1.0, 1.0])), 2.5) == 1
    assert crossing(series(np.empty(0)), 1) is None
    assert way_down(series(np.linspace(4, 2, 101)), 0.5) in range(48, 54)
    assert way_down(series(np.array([1.0])), 0.5) is None
    assert warm_up_and_decay(series(np.array([0.1, 0.5, 1.0, 1.0, 0.5]))) == (2, 3)
    assert warm_up_and_decay(series(np.zeros(3))) is None
    assert len(smooth(series(np.empty(0)))) == 0
