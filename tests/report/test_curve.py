"""Phases, spikes and the end of curves whose story is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from lab.report.curve import crossing, lingering, phases, smooth, spikes, tail_slope, warm_up_and_decay, way_down
from lab.report.record import Record, read_record
from lab.runs.series import Columns, Series
from tests.report.runs import BASELINES, curve, make_run


def series(values: np.ndarray) -> Series:
    return Series(np.arange(len(values), dtype=float), np.asarray(values, dtype=float))


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return read_record(make_run(tmp_path_factory.mktemp("runs")))


def test_phases_end_where_the_curve_crosses_the_baselines(record: Record) -> None:
    found = phases(record)
    assert [phase.level for phase in found][-4:] == ["unigram", "bigram", "xz", None]
    for phase in found[:-1]:
        level = BASELINES[str(phase.level)]
        true = next(step for step in range(401) if curve(step, 400) < level)
        assert abs(phase.end - true) <= 12
    assert found[-1].end == 400
    assert all(a.end == b.start for a, b in pairwise(found))


def test_a_run_without_baselines_or_losses_has_no_phases(record: Record) -> None:
    assert phases(replace(record, data={}, columns=Columns())) == []
    assert phases(replace(record, data={})) == []


def test_a_plateau_is_measured_in_steps(record: Record) -> None:
    values = np.concatenate([np.linspace(4.6, 4.0, 100), np.full(300, 4.0), np.linspace(4.0, 2.0, 100)])
    columns = Columns()
    columns.add({"step": step, "train/loss": value} for step, value in enumerate(values.tolist()))
    flat = replace(record, data={"baselines": {"nats_per_token": {"unigram": 4.0}}}, columns=columns)
    assert 300 <= lingering(flat, "unigram") <= 340


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_spikes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert spikes(series(3 + np.exp(-np.arange(20_000) / 2000) + rng.normal(0, 0.1, 20_000))) == []


def test_spikes_with_their_height_and_their_end() -> None:
    values = 3 + np.random.default_rng(0).normal(0, 0.02, 1000)
    values[400:410] += np.linspace(2, 0, 10)
    values[800:] += 1.0
    found = {spike.step: spike for spike in spikes(series(values))}
    assert 400 in found
    assert 405 <= (found[400].recovered or 0) <= 415
    assert found[400].height == pytest.approx(5, abs=0.1)
    assert found[400].before == pytest.approx(3, abs=0.05)
    assert [s.recovered for step, s in found.items() if step >= 800] == [None]


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
