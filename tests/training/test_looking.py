"""What looks took, and whether what is planned fits into their share of a run."""

from __future__ import annotations

from contextlib import suppress

import pytest

from lab.training import looking
from lab.training.looking import LookTimes, allotted, fits


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_seconds_are_kept_by_name_and_the_first_look_is_not_taken_for_all() -> None:
    clock = Clock()
    times = LookTimes(clock)
    assert times.each("samples") == 0.0
    for seconds in (5.0, 1.0, 2.0):
        with times.timed("samples"):
            clock.now += seconds
    assert (times.seconds["samples"], times.each("samples")) == (8.0, 1.5)
    with suppress(ZeroDivisionError), times.timed("probes"):
        clock.now += 1.0
        raise ZeroDivisionError
    assert times.each("probes") == 1.0  # one that failed took its time, too
    again = LookTimes(clock)
    again.restore(times.state())
    assert (again.each("samples"), again.seconds) == (1.5, times.seconds)


def test_the_rest_of_a_run_goes_as_the_newest_steps() -> None:
    clock = Clock()
    times = LookTimes(clock)
    assert times.run_seconds(3.0, 100) == 3.0
    for seconds in (50.0, 1.0, 1.0, 2.0):  # the first compiled
        times.step_begins()
        clock.now += seconds
        times.step_ends()
    assert times.step_seconds == 1.5
    assert times.run_seconds(54.0, 100) == 204.0


def test_a_share_of_a_run_of_a_minute_or_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "LEAST_SECONDS", 60.0)
    assert allotted(0.05, 600.0) == 30.0
    assert allotted(0.05, 20.0) == 3.0
    assert fits(0.05, 600.0, spent=10.0, ahead=20.0)
    assert not fits(0.05, 600.0, spent=10.0, ahead=21.0)
    assert fits(0.05, 20.0, spent=10.0, ahead=30.0)  # all of it is over in 50 seconds
    assert not fits(0.05, 20.0, spent=10.0, ahead=41.0)
