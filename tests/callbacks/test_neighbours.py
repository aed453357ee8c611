"""Giving way: decided from readings and step times that are put in, recorded, and repeated by a resumed run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import lab.fitting.trainer as trainer
from lab.__main__ import main
from lab.callbacks.neighbours import Neighbours
from lab.runs import Run
from lab.runs.events import Decided, of_kind
from lab.training.callback import FitContext
from lab.training.step import StepBatch
from lab.waiting import SLEEP, SPIN, Pressure
from tests.patience import PATIENCE
from tests.tiny import losses, tiny_args

SPINNING, SLEEPING, ONE = ((2, SPIN), (2, SLEEP), (1, SLEEP))


class Steps:
    """Steps of a run whose times follow from what holds and from who is there."""

    def __init__(self, seconds: dict[tuple[int, str], float], alone: float = 1.0, **how: Any) -> None:
        self.seconds, self.alone, self.now, self.seen = seconds, alone, 0.0, Pressure()
        self.told: list[str] = []
        self.threads = Neighbours(2, seen=self.seen, clock=lambda: self.now, **{"sleeps": lambda: True} | how)

    def take(self, n: int, lacking: float = 0.0) -> list[tuple[int, str]]:
        """`n` steps while so many processors lack; what was decided."""
        found = []
        for _ in range(n):
            self.seen.pressed, self.seen.lacking = lacking > 0, lacking
            self.threads.before_step(None, None)  # type: ignore[arg-type]
            self.now += self.seconds[self.threads._holding()] if lacking else self.alone
            decided = self.threads.decide(None)  # type: ignore[arg-type]
            if decided is not None:
                value, why = decided
                self.threads.held = Decided(step=0, what="threads", value=value, reason=why)
                self.told.append(why)
                found.append((value["threads"], value["waiting"]))
        return found


def test_alone_nothing_is_decided() -> None:
    assert Steps({}).take(100) == []


def test_beside_others_waiting_threads_sleep_and_spin_again_afterwards() -> None:
    steps = Steps({SPINNING: 8.0, SLEEPING: 1.2})
    steps.take(10)
    assert steps.take(30, lacking=1.0) == [SLEEPING], "a fifth slower than alone is good enough"
    assert "others keep 1.0 of 2 processors busy and steps took 8.0 times as long" in steps.told[0]
    assert "which changes no result" in steps.told[0]
    assert steps.take(10) == [SPINNING]


def test_fewer_threads_are_tried_where_sleeping_is_not_enough_and_kept_where_they_are_faster() -> None:
    steps = Steps({SPINNING: 8.0, SLEEPING: 2.0, ONE: 1.5})
    steps.take(10)
    assert steps.take(60, lacking=1.0) == [SLEEPING, ONE]
    assert "1 thread instead of 2 for a trial, which can change the last bits of a loss" in steps.told[1]
    assert steps.take(10) == [SPINNING]
    assert "2 threads again, which can change the last bits" in steps.told[2]


def test_they_are_given_up_where_they_are_slower_and_tried_again_when_others_take_something_else() -> None:
    steps = Steps({SPINNING: 8.0, SLEEPING: 2.0, ONE: 3.0})
    steps.take(10)
    assert steps.take(200, lacking=1.0) == [SLEEPING, ONE, SLEEPING]
    assert steps.take(200, lacking=2.0) == [ONE, SLEEPING], "once, then it stays"


def test_others_that_were_there_before_the_first_step_are_seen_too() -> None:
    assert Steps({SPINNING: 8.0, SLEEPING: 2.0, ONE: 1.5}).take(60, lacking=1.0) == [SLEEPING, ONE]


def test_the_users_number_of_threads_stays_and_with_give_way_off_all_does() -> None:
    seconds = {SPINNING: 8.0, SLEEPING: 4.0}
    assert Steps(seconds, fewer=False).take(60, lacking=1.0) == [SLEEPING]
    assert Steps(seconds, gives_way=False).take(60, lacking=1.0) == []
    assert Steps(seconds, fewer=False, sleeps=lambda: False).take(60, lacking=1.0) == []


def test_where_the_way_to_wait_is_set_the_number_of_threads_still_follows() -> None:
    steps = Steps({SPINNING: 8.0, (1, SPIN): 1.5}, sleeps=lambda: False)
    steps.take(10)
    assert steps.take(60, lacking=1.0) == [(1, SPIN)]


# ---------------------------------------------------------------- in a run

QUIET = ("--validation.every=0", "--snapshots.every=0", "--probes.every=0", "--checkpoint.every=10", "--log.every=1")


class Staged(Neighbours):
    """Two threads; others come after step 4 and go after step 15, and step times are those of `Steps`."""

    comes, goes, die_at = 4, 15, -1

    def __init__(self, *_: Any) -> None:
        self.now = 0.0
        super().__init__(2, seen=Pressure(), clock=lambda: self.now, sleeps=lambda: True)

    def before_step(self, fit: FitContext, batch: StepBatch) -> None:
        super().before_step(fit, batch)
        self.seen.pressed, self.seen.lacking = self.comes <= fit.step < self.goes, 1.0
        self.now += {SPINNING: 8.0, SLEEPING: 2.0, ONE: 1.5}[self._holding()] if self.seen.pressed else 1.0

    def after_step(self, fit: FitContext) -> None:
        super().after_step(fit)
        if fit.step == self.die_at:
            fit.checkpoint_io.finish()
            os.kill(os.getpid(), signal.SIGKILL)


def fit(*args: str, comes: int = 4, goes: int = 15, die_at: int = -1) -> int:
    """A fit whose others are staged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            trainer, "Neighbours", type("Neighbours", (Staged,), {"comes": comes, "goes": goes, "die_at": die_at})
        )
        return main(["fit", *args])


@pytest.mark.slow
def test_a_killed_run_repeats_what_it_decided_although_the_others_are_gone(tmp_path: Path) -> None:
    arguments = tiny_args(tmp_path, *QUIET, steps=30)
    code = f"from tests.callbacks.test_neighbours import fit; fit(*{arguments!r}, die_at=14)"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=PATIENCE)
    assert done.returncode == -signal.SIGKILL
    run = Run(tmp_path / "runs" / "tiny")
    wanted = [(event.step, event.value["threads"]) for event in of_kind(run.events(), Decided)]
    assert [threads for _, threads in wanted] == [2, 1]
    assert 10 in [info.step for info in run.checkpoints()]
    before, threads = losses(run.path), torch.get_num_threads()
    try:
        assert fit("--resume", "tiny", "--run.root", str(run.path.parent), comes=99) == 0
    finally:
        torch.set_num_threads(threads)
    found = [(event.step, event.value["threads"]) for event in of_kind(run.events(), Decided)]
    assert found[: len(wanted)] == wanted
    assert [threads for _, threads in found[len(wanted) :]] == [2], "behind where it had come all threads again"
    assert found[-1][0] > max(before)
    after = losses(run.path)
    assert {step: after[step] for step in before} == before


@pytest.mark.parametrize(
    ("flags", "variable", "fewer", "gives_way"),
    [
        ((), None, True, True),
        (("--levers.threads=1",), None, False, True),
        ((), "1", False, True),
        (("--levers.give_way=false",), None, True, False),
    ],
)
def test_a_run_is_told_what_the_user_has_set(
    flags: tuple[str, ...],
    variable: str | None,
    fewer: bool,
    gives_way: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[Any, ...]] = []

    class Noted(Neighbours):
        def __init__(self, *how: Any) -> None:
            told.append(how)
            super().__init__(*how)

    Noted.__name__ = "Neighbours"
    monkeypatch.setattr(trainer, "Neighbours", Noted)
    threads = torch.get_num_threads()
    if variable is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setattr("lab.training.levers.usable_threads", lambda: (1, "one core"))
        monkeypatch.setattr("lab.waiting.usable_threads", lambda: (1, "one core"))
    assert main(["fit", *tiny_args(tmp_path, *QUIET, *flags, steps=2)]) == 0
    torch.set_num_threads(threads)
    assert told == [(1, gives_way, fewer)]
