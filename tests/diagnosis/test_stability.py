"""Rules about stability: each finds its own fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.diagnosis import limits
from lab.diagnosis.stability import spikes
from lab.runs.facts import Facts
from lab.runs.series import Series
from tests.diagnosis.runs import (
    STEPS,
    changed,
    check_finding,
    facts,
    healthy,
    told,
)

FAULTY: dict[str, tuple[dict[str, dict[int, Any]], Facts]] = {
    "non_finite": (changed("val/loss", lambda s, v: None if s > 200 else v), facts()),
    "loss_spike": (changed("train/loss", lambda s, v: v + 2 if 200 <= s < 205 else v), facts()),
    "divergence": (changed("train/loss", lambda s, v: v + max(0, s - 150) / 80), facts()),
    "fp16_scale": (healthy() | {"train/loss_scale": {s: 2.0 ** (16 - s // 8) for s in range(STEPS)}}, facts()),
}


@pytest.mark.parametrize("rule", FAULTY)
def test_each_rule_finds_its_own_fault(rule: str) -> None:
    check_finding(rule, *FAULTY[rule])


def test_a_spike_is_a_note_once_the_loss_is_back_and_a_warning_when_it_stays() -> None:
    back = told(changed("train/loss", lambda s, v: v + 2 if 200 <= s < 205 else v))
    assert [f.level for f in back if f.rule == "loss_spike"] == ["note"]
    stays = told(changed("train/loss", lambda s, v: v + 1 if s >= 200 else v))
    assert [f.level for f in stays if f.rule == "loss_spike"] == ["note", "warning"]


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_spikes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = 3 + np.exp(-np.arange(20_000) / 2000) + rng.normal(0, 0.1, 20_000)
    assert spikes(Series(np.arange(20_000), values), limits()) == []


def test_spikes_have_a_height_and_an_end() -> None:
    values = 3 + np.random.default_rng(0).normal(0, 0.02, 1000)
    values[400:410] += np.linspace(2, 0, 10)
    values[800:] += 1.0
    first, second = spikes(Series(np.arange(1000), values), limits())
    assert (first.step, second.step, second.back) == (400, 800, None)
    assert 405 <= (first.back or 0) <= 415
    assert first.top == pytest.approx(5, abs=0.1)
    assert first.before == pytest.approx(3, abs=0.05)


def test_what_counts_as_a_spike_depends_on_the_unit() -> None:
    values = np.full(200, 0.01)
    values[100] = 0.05
    assert spikes(Series(np.arange(200), values), limits()) == [], "0.04 nats are next to nothing"
    assert [spike.step for spike in spikes(Series(np.arange(200), values), limits(), least=0)] == [100]


@settings(max_examples=60, deadline=None)
@given(
    start=st.floats(0.5, 5),
    leaps=st.dictionaries(st.integers(60, 900), st.floats(1.2, 6), max_size=12),
    lasting=st.integers(1, 500),
    seed=st.integers(0, 99),
)
def test_where_a_spike_ends_is_the_first_mean_of_five_values_that_is_back(
    start: float, leaps: dict[int, float], lasting: int, seed: int
) -> None:
    values = start * (1 + 0.02 * np.random.default_rng(seed).standard_normal(1000))
    for at, factor in leaps.items():
        values[at : at + lasting] *= factor
    for spike in spikes(Series(range(1000), values), limits()):
        means = [values[max(spike.step, i - 4) : i + 1].mean() for i in range(spike.step, 1000)]
        back = [spike.step + i for i, mean in enumerate(means) if mean <= limits().spike_back * spike.before + 1e-12]
        assert spike.back == (back[0] if back else None)
        assert spike.before == np.median(values[spike.step - 50 : spike.step])
        assert spike.top == values[spike.step : spike.step + 50].max()
