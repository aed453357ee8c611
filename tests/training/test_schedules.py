"""Schedules against those of transformers, and what holds for every one of them."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lab.training.schedules import DecayShape, Kind, ScheduleConfig, lr_factor


@st.composite
def schedules(draw: st.DrawFn) -> tuple[ScheduleConfig, int]:
    """A valid configuration and a number of steps it fits."""
    total = draw(st.integers(1, 3000))
    config = ScheduleConfig(
        kind=draw(st.sampled_from(get_args(Kind))),
        warmup_steps=draw(st.none() | st.integers(0, total)),
        warmup_fraction=draw(st.floats(0, 0.99)),
        final_lr_fraction=draw(st.floats(0, 1)),
        decay_fraction=draw(st.floats(0.01, 1)),
        decay_shape=draw(st.sampled_from(get_args(DecayShape))),
    )
    if config.problems(total):
        config = replace(config, warmup_steps=0)
    return config, total


def peer_factors(schedule: str, total: int, **arguments: object) -> list[float]:
    """The factors of a schedule of transformers, step by step."""
    transformers = pytest.importorskip("transformers")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = getattr(transformers, f"get_{schedule}")(optimizer, **arguments)
    factors = []
    for _ in range(total + 1):
        factors.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return factors


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_decay_equals_that_of_transformers(kind: Kind) -> None:
    total, warmup = 200, 20
    peers = peer_factors(f"{kind}_schedule_with_warmup", total, num_warmup_steps=warmup, num_training_steps=total)
    config = ScheduleConfig(kind=kind, warmup_steps=warmup, final_lr_fraction=0.0)
    ours = [lr_factor(step, total, config) for step in range(total + 1)]
    assert ours[warmup:] == pytest.approx(peers[warmup:], abs=1e-12)


@pytest.mark.parametrize(("shape", "peer"), [("linear", "linear"), ("cosine", "cosine"), ("sqrt", "1-sqrt")])
def test_wsd_equals_that_of_transformers(shape: DecayShape, peer: str) -> None:
    total, warmup, decay = 300, 30, 60
    peers = peer_factors(
        "wsd_schedule",
        total,
        num_warmup_steps=warmup,
        num_decay_steps=decay,
        num_training_steps=total,
        decay_type=peer,
        min_lr_ratio=0.1,
    )
    config = ScheduleConfig(
        kind="wsd", warmup_steps=warmup, decay_fraction=0.2, decay_shape=shape, final_lr_fraction=0.1
    )
    ours = [lr_factor(step, total, config) for step in range(total + 1)]
    assert ours[warmup:] == pytest.approx(peers[warmup:], abs=1e-12)


def test_the_first_update_moves_and_the_peak_follows_the_warmup() -> None:
    config = ScheduleConfig(warmup_steps=4)
    assert [lr_factor(step, 100, config) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


@given(schedules())
def test_rises_to_one_then_never_rises_and_ends_where_it_says(drawn: tuple[ScheduleConfig, int]) -> None:
    config, total = drawn
    assert not config.problems(total)
    factors = [lr_factor(step, total, config) for step in range(total + 2)]
    warmup = config.warmup(total)
    assert all(0 < factor <= 1 for factor in factors[:total])
    assert all(a < b for a, b in pairwise(factors[: warmup + 1]))
    assert factors[warmup] == 1
    assert all(a >= b for a, b in pairwise(factors[warmup:]))
    end = 1.0 if config.kind == "constant" else config.final_lr_fraction
    assert factors[total] == factors[total + 1] == pytest.approx(end, abs=1e-15)


@given(schedules())
def test_phases_cover_the_run_and_say_what_the_rate_does(drawn: tuple[ScheduleConfig, int]) -> None:
    config, total = drawn
    phases = config.phases(total)
    assert [0, *(end for _, _, end in phases)] == [*(start for _, start, _ in phases), total]
    for name, start, end in phases:
        factors = [lr_factor(step, total, config) for step in range(start, end + 1)]
        if name == "stable":
            assert set(factors[:-1]) == {1.0}
        elif config.final_lr_fraction < 1 or name == "warm-up":
            assert (factors[0] < factors[-1]) == (name == "warm-up")


def test_every_bad_setting_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"schedule\.kind") as caught:
        ScheduleConfig(
            kind="square",  # type: ignore[arg-type]
            warmup_steps=-1,
            warmup_fraction=1.0,
            final_lr_fraction=math.nan,
            decay_fraction=0.0,
            decay_shape="round",  # type: ignore[arg-type]
        )
    lines = str(caught.value).splitlines()
    named = ["kind", "warmup_steps", "warmup_fraction", "final_lr_fraction", "decay_fraction", "decay_shape"]
    assert [line.split(" ")[0] for line in lines] == [f"schedule.{name}" for name in named]


def test_no_two_kinds_and_no_two_shapes_of_decay_are_alike() -> None:
    configs = [ScheduleConfig(kind=kind) for kind in get_args(Kind) if kind != "wsd"]
    configs += [ScheduleConfig(kind="wsd", decay_shape=shape) for shape in get_args(DecayShape)]
    curves = {tuple(lr_factor(step, 50, config) for step in range(50)) for config in configs}
    assert len(curves) == len(configs)


@pytest.mark.parametrize("setting", ["kind", "decay_shape"])
def test_a_choice_that_is_not_implemented_is_no_other_one(setting: str) -> None:
    config = ScheduleConfig(kind="wsd")
    setattr(config, setting, "square")
    with pytest.raises((AssertionError, KeyError), match="square"):
        lr_factor(49, 50, config)


def test_what_only_the_length_of_the_run_can_tell() -> None:
    assert "100" in ScheduleConfig(warmup_steps=100).problems(100)[0]
    assert not ScheduleConfig(warmup_steps=99).problems(100)
    assert "do not fit" in ScheduleConfig(kind="wsd", warmup_steps=60, decay_fraction=0.5).problems(100)[0]
    assert not ScheduleConfig().problems(1)


def test_settings_without_effect_are_said() -> None:
    assert not ScheduleConfig().unused()
    unused = ScheduleConfig(kind="constant", final_lr_fraction=0.0, decay_fraction=0.4, warmup_steps=3).unused()
    assert [line.split(" ")[0] for line in unused] == [
        "schedule.final_lr_fraction",
        "schedule.decay_fraction",
    ]
    assert not ScheduleConfig(kind="wsd", final_lr_fraction=0.0, decay_fraction=0.4).unused()
