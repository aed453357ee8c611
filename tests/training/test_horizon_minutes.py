"""A horizon in minutes by clocks that are made up: where the run ends, what its learning rate does, what is revised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.runs.cadence import Cadence
from lab.training.horizon import CHECKS, Pace
from lab.training.schedules import Course, Kind, ScheduleConfig, lr_factor

KINDS = get_args(Kind)


@dataclass
class Simulated:
    """A run of `seconds` by a clock of ours."""

    course: Course
    factors: list[float]
    times: list[float]
    seconds: float

    @property
    def error(self) -> float:
        """How far the end is from where it should be, as a part of the run."""
        return self.times[-1] / self.seconds - 1


def simulate(
    config: ScheduleConfig,
    planned: int,
    step_seconds: Callable[[float], float],
    *,
    seconds: float = 600.0,
    look: float = 0.0,
    first: float = 0.0,
    end: float = 0.0,
) -> Simulated:
    """Train by a clock: `step_seconds` of the share of the time that is gone, a look that takes `look` twenty times,
    `first` before the first step's end (a compilation), `end` after the last."""
    schedule = config.fitted(planned)
    pace, course = Pace(seconds, schedule), Course(planned)
    step, now, looks = 0, 0.0, 0.0
    factors, times = [], []
    while step < course.total:
        factors.append(lr_factor(step, course.total, schedule, course=course))
        now += step_seconds(now / seconds) + (first if step == 0 else 0.0)
        step += 1
        times.append(now)
        pace.step_done(step, now, looks)
        if step < course.total and (found := pace.revised(course, step, now, looks, end)) is not None:
            assert found.total > step
            course = found
        if step < course.total and Cadence(None, 20, at_most=True, early=False).due(step, course.total):
            now, looks = now + look, looks + look
    times.append(now + end)
    return Simulated(course, factors, times, seconds)


def quiet(each: float) -> Callable[[float], float]:
    return lambda share: each


def neighbour(each: float, factor: float, since: float, until: float = 9.0) -> Callable[[float], float]:
    return lambda share: each * (factor if since <= share < until else 1.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("off", [0.5, 0.9, 1.0, 1.3, 3.0])
def test_a_quiet_run_ends_within_a_twentieth_however_wrong_the_estimate(kind: Kind, off: float) -> None:
    config = ScheduleConfig(kind=kind, final_lr_fraction=0.0)
    run = simulate(config, int(off * 2000), quiet(0.3), look=1.5, first=50.0, end=10.0)
    assert abs(run.error) < 0.02
    assert len(run.course.knots) <= 8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [1.5, 3.0, 16.0])
def test_with_a_neighbour_from_the_middle_on_it_ends_within_a_tenth(kind: Kind, factor: float) -> None:
    config = ScheduleConfig(kind=kind, final_lr_fraction=0.0)
    run = simulate(config, 1800, neighbour(0.3, factor, 0.5), look=1.0, end=8.0)
    assert abs(run.error) < 0.05
    assert simulate(config, 1800, neighbour(0.3, factor, 0.5, 0.7), look=1.0, end=8.0).error < 0.05


def test_the_decay_begins_when_the_remaining_time_says_so() -> None:
    config = ScheduleConfig(kind="wsd", decay_fraction=0.4, final_lr_fraction=0.0)
    for pace in (quiet(0.3), neighbour(0.3, 4.0, 0.3), neighbour(0.3, 0.25, 0.3), neighbour(0.3, 8.0, 0.1, 0.5)):
        run = simulate(config, 1700, pace, look=1.0)
        falls = next(step for step, (one, two) in enumerate(pairwise(run.factors)) if one == 1.0 and two < 1.0)
        assert run.times[falls] / run.seconds == pytest.approx(0.6, abs=0.02)
        assert run.factors[-1] < 0.05


@settings(deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    warmup=st.none() | st.integers(0, 200),
    decay=st.floats(0.05, 0.9),
    planned=st.integers(1, 400),
    each=st.floats(0.2, 100.0),
    changes=st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 16.0)), max_size=4),
    look=st.floats(0, 3.0),
)
def test_whatever_the_clock_does_the_rate_never_jumps_and_the_end_is_in_time(
    kind: Kind,
    warmup: int | None,
    decay: float,
    planned: int,
    each: float,
    changes: list[tuple[float, float]],
    look: float,
) -> None:
    config = ScheduleConfig(kind=kind, warmup_steps=warmup, decay_fraction=decay, final_lr_fraction=0.0)

    def step_seconds(share: float) -> float:
        factor = 1.0
        for since, found in sorted(changes):
            factor = found if share >= since else factor
        return each * factor

    run = simulate(config, planned, step_seconds, look=look)
    slowest = each * max([1.0, *(factor for _, factor in changes)])
    assert run.times[-1] <= run.seconds + 2 * slowest + look, "at worst it is one step late"
    assert len(run.course.knots) <= len(CHECKS) + 8
    schedule = config.fitted(planned)
    places = [run.course.place(step) for step in range(run.course.total + 1)]
    flat = schedule.warmup(planned), planned - schedule.decay(planned)
    for step, (one, two) in enumerate(pairwise(run.factors)):
        # The steepest that the schedule can be between two places, wherever the pace changes.
        moved = places[step + 1] - places[step]
        steepest = max(1 / (schedule.warmup(planned) + 1), 1.6 / max(1, schedule.decay(planned)))
        on_the_flat = flat[0] <= places[step] <= flat[1] and flat[0] <= places[step + 1] <= flat[1]
        assert abs(two - one) <= (0.0 if on_the_flat else abs(moved) * steepest + 1e-9)
    assert places[-1] == planned
    assert not schedule.problems(planned)


def test_a_course_goes_through_json_as_it_is() -> None:
    course = Course(100).revised(10, 9.125, 80).revised(40, 1 / 3 * 100, 90)
    assert Course.parse(course.as_plain()) == course
    assert Course.parse({"planned": 3}) is Course.parse(None) is None
    assert course.place(9) == 9.0
    assert course.place(40) == 1 / 3 * 100
    assert course.place(90) == course.place(95) == 100.0
