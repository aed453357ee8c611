"""What other programs take of the processors, from a /proc/stat made by hand and a clock that is moved."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import neighbours
from lab.neighbours import TICKS, Others

LINE = "cpu{n} {user} {nice} {system} {idle} 0 0 0 {stolen} 0 0\n"


class Machine:
    """Four processors, of which this process may use three, and what is done on each, in seconds."""

    def __init__(self, stat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stat, self.wall, self.own = stat, 100.0, 5.0
        self.spent = {n: dict.fromkeys(("user", "nice", "system", "idle", "stolen"), 10.0) for n in range(4)}
        monkeypatch.setattr(neighbours, "STAT", stat)
        monkeypatch.setattr(neighbours, "usable_cpus", lambda: frozenset({0, 1, 2}))
        monkeypatch.setattr(neighbours.time, "monotonic", lambda: self.wall)
        monkeypatch.setattr(neighbours.time, "process_time", lambda: self.own)
        self.write()

    def write(self) -> None:
        rows = [LINE.format(n=n, **{k: round(v * TICKS) for k, v in kinds.items()}) for n, kinds in self.spent.items()]
        self.stat.write_text("cpu  1 2 3 4 5 6 7 8 9 0\n" + "".join(rows) + "intr 12 3\n")

    def spend(self, seconds: float, own: float = 0.0, **others: float) -> None:
        """`own` seconds of this process; of others `{kind}{processor}`: such as `user0=2.0`."""
        self.wall, self.own = self.wall + seconds, self.own + own
        self.spent[0]["user"] += own
        for name, value in others.items():
            self.spent[int(name[-1])][name[:-1]] += value
        self.write()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(os, "nice", lambda _: 0)
    return Machine(tmp_path / "stat", monkeypatch)


def test_what_others_take_is_all_that_was_busy_less_what_is_our_own(machine: Machine) -> None:
    others = Others()
    assert others.taken() is None, "nothing to compare with yet"
    machine.spend(2.0, own=2.0, user1=1.0, system1=0.5, stolen2=0.5)
    assert others.taken() == pytest.approx(1.0)
    machine.spend(2.0, own=1.0, idle1=5.0)
    assert others.taken() == 0.0


def test_another_processor_than_those_of_this_process_does_not_count(machine: Machine) -> None:
    others = Others()
    others.taken()
    machine.spend(1.0, user3=1.0)
    assert others.taken() == 0.0


def test_low_priority_counts_only_for_those_who_have_one(machine: Machine) -> None:
    ordinary, low = Others(), Others(low_priority=True)
    assert ordinary.taken() is low.taken() is None
    machine.spend(1.0, nice0=1.0)
    assert (ordinary.taken(), low.taken()) == (0.0, pytest.approx(1.0))


@pytest.mark.parametrize(("threads", "lacking"), [(1, 0.0), (2, 0.5), (3, 1.5)])
def test_processors_are_missing_where_threads_and_others_are_more_than_there_are(
    machine: Machine, threads: int, lacking: float
) -> None:
    others = Others()
    others.taken()
    machine.spend(2.0, own=1.0, user1=2.0, user2=1.0)
    assert others.lacking(threads) == pytest.approx(lacking)


def test_a_second_look_at_once_says_nothing_and_forgets_nothing(machine: Machine) -> None:
    others = Others()
    others.taken()
    machine.spend(0.001)
    assert others.taken() is None
    machine.spend(1.0, user1=1.0)
    assert others.taken() == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("content", [None, "", "cpu0 x y\n", "cpu0 1 2\n", "cpu9 1 2 3 4 5 6 7 8\n"])
def test_a_system_that_does_not_say_it_is_not_known(
    content: str | None, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is None:
        machine.stat.unlink()
    else:
        machine.stat.write_text(content)
    others = Others()
    machine.wall += 1
    assert others.taken() is others.taken() is others.lacking(2) is None
