"""When something happens in a run: how far apart, with which start, and always at the end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.runs.cadence import Cadence, is_log_spaced


def steps(cadence: Cadence, total: int, nth: int = 1) -> list[int]:
    return [step for step in range(total + 1) if cadence.due(step, total, nth)]


def test_the_start_is_spaced_by_powers_of_two_and_the_end_is_in() -> None:
    assert steps(Cadence(20, 1), 60) == [0, 1, 2, 4, 8, 16, 20, 40, 60]
    assert steps(Cadence(20, 1), 61) == [0, 1, 2, 4, 8, 16, 20, 40, 60, 61]
    assert steps(Cadence(1, 1), 5) == [0, 1, 2, 3, 4, 5]
    assert steps(Cadence(16, 1), 32) == [0, 1, 2, 4, 8, 16, 32]
    assert steps(Cadence(20, 1, early=False), 50) == [0, 20, 40, 50]
    assert steps(Cadence(5, 1), 24, nth=2) == [0, 1, 2, 4, 8, 10, 20, 24]
    assert steps(Cadence(0, 1), 5) == []


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 3000))
def test_no_gap_is_wider_than_every(every: int, total: int) -> None:
    found = steps(Cadence(every, 1), total)
    assert (found[0], found[-1]) == (0, total)
    assert all(later - earlier <= every for earlier, later in pairwise(found))


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 300), st.integers(0, 320), st.integers(0, 5), st.booleans())
def test_how_often_is_counted_without_going_through_the_steps(
    every: int, total: int, begin: int, nth: int, early: bool
) -> None:
    cadence = Cadence(every, 1, early=early)
    begin = min(begin, total)
    assert cadence.count(total, begin, nth) == sum(step >= begin for step in steps(cadence, total, nth))
    assert {*steps(cadence, total, 2 * nth)} >= {*steps(cadence, total, 0)}


def test_of_every_second_one_all_are_among_the_others() -> None:
    cadence = Cadence(5, 1, early=False)
    assert {*steps(cadence, 100, 4)} < {*steps(cadence, 100, 2)} < {*steps(cadence, 100)}
    assert steps(cadence, 100, 0) == [100]


@given(st.integers(1, 5000), st.integers(1, 200), st.integers(1, 20))
def test_unset_the_length_of_the_run_decides(total: int, per_run: int, least: int) -> None:
    about, at_most = Cadence(None, per_run, least), Cadence(None, per_run, at_most=True, early=False)
    assert about.steps(total) == max(least, total // per_run)
    assert len(steps(at_most, total)) <= per_run + 1
    assert about.steps(total, unit=7) % 7 == 0
    assert 0 <= about.steps(total, unit=7) - about.steps(total) < 7
    assert Cadence(3, per_run, least).steps(total, unit=7) == 3


def test_what_cannot_be_is_named() -> None:
    assert Cadence(-1, 1).problems("samples.every", "to switch it off") == [
        "samples.every is -1: give a number of steps, or 0 to switch it off"
    ]
    assert Cadence(None, 1).problems("x", "") == Cadence(0, 1).problems("x", "") == []
    with pytest.raises(ValueError, match="every 0 steps"):
        is_log_spaced(3, 0)
