"""What gives way where instruments, snapshots and checkpoints would take more than their share of a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import lab.training.callback
from lab.__main__ import main
from lab.callbacks.checkpoints import Checkpoints
from lab.callbacks.looks import LooksBudget, planned
from lab.callbacks.reference_texts import ReferenceTexts
from lab.callbacks.samples import Samples
from lab.callbacks.snapshots import Snapshots
from lab.runs import open_run
from lab.runs.events import Decided, of_kind
from lab.training import logbook, looking
from lab.training.looking import LookTimes
from lab.training.module import PretrainingModule
from tests.tiny import tiny_args

TOTAL = 1000


def fit_of(*callbacks: Any, step: int, took: dict[str, tuple[float, int]], step_seconds: float = 1.0) -> Any:
    """A run of 1000 steps at `step`; `took`: seconds and number of looks so far, by name."""
    looks = LookTimes()
    looks.restore({"seconds": {}, "counts": {}, "first": {}})
    for name, (seconds, count) in took.items():
        looks.seconds[name], looks.counts[name], looks.first[name] = seconds, count, seconds / count
    looks._steps.extend([step_seconds] * 3)
    clock = SimpleNamespace(seconds=lambda: step * step_seconds)
    known = {"step": step, "total_steps": TOTAL, "callbacks": callbacks, "looks": looks}

    def find(kind: type) -> Any:
        return next((callback for callback in callbacks if isinstance(callback, kind)), None)

    return cast(Any, SimpleNamespace(**known, find=find, logbook=SimpleNamespace(clock=clock)))


@pytest.fixture(autouse=True)
def _a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "LEAST_SECONDS", 60.0)


def test_what_fits_into_its_share_stays_as_it_is() -> None:
    """50 seconds of 1000 are allotted."""
    fit = fit_of(Snapshots(), Samples(), step=64, took={"snapshots": (0.8, 8), "samples": (8.0, 8)})
    assert LooksBudget().decide(fit) is None


def test_what_takes_the_most_gives_way_first_and_the_last_look_stays() -> None:
    fit = fit_of(Snapshots(), Samples(), step=64, took={"snapshots": (8.0, 8), "samples": (32.0, 8)})
    found = LooksBudget().decide(fit)
    assert found is not None
    nth, reason = found
    assert nth == {"snapshots": 8, "samples": 0}
    assert reason.startswith("samples at the end only, snapshots every 400 steps: looks and checkpoints would take ")
    plans, looks = planned(fit), fit.looks
    assert all(plan.due(TOTAL, TOTAL, nth[name]) for name, plan in plans.items())
    ahead = sum(plans[name].count(TOTAL, 64, nth[name]) * looks.each(name) for name in nth)
    assert sum(looks.seconds.values()) + ahead <= 50.0


def test_a_first_look_alone_decides_nothing() -> None:
    """It loads what the later ones find loaded."""
    fit = fit_of(Samples(), step=1, took={"samples": (30.0, 1)})
    assert LooksBudget().decide(fit) is None


def test_a_cadence_that_is_set_is_kept_and_does_not_count() -> None:
    asked = (Snapshots(every=50), Samples(every=10), ReferenceTexts(every=100), Checkpoints(every=100))
    assert planned(fit_of(*asked, step=0, took={})) == {}
    fit = fit_of(Samples(every=10), Snapshots(), step=64, took={"samples": (900.0, 90), "snapshots": (1.0, 8)})
    assert LooksBudget().decide(fit) is None


def test_between_looks_and_in_a_run_of_seconds_nothing_is_decided() -> None:
    took = {"samples": (32.0, 8)}
    assert LooksBudget().decide(fit_of(Samples(), step=63, took=took)) is None
    assert LooksBudget().decide(fit_of(Samples(), step=64, took={"samples": (1.6, 8)}, step_seconds=0.01)) is None


def test_of_a_fit_with_slow_samples_they_take_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes 2 seconds, a sample 4: of 100 steps' 200 seconds 10 are allotted, for two or three of them."""
    now = [0.0]
    monkeypatch.setattr(logbook, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(lab.training.callback, "LookTimes", lambda: LookTimes(lambda: now[0]))
    learn = PretrainingModule.learn

    def slow_step(module: Any, *args: Any) -> None:
        now[0] += 2.0
        learn(module, *args)

    def slow_look(samples: Samples, fit: Any) -> None:
        now[0] += 4.0
        samples.write(fit)

    monkeypatch.setattr(PretrainingModule, "learn", slow_step)
    monkeypatch.setattr(Samples, "look", slow_look)
    assert main(["fit", *tiny_args(tmp_path, "--samples.tokens", "2", steps=100)]) == 0
    run = open_run("tiny", tmp_path / "runs")
    (decided,) = (event for event in of_kind(run.events(), Decided) if event.what == "looks")
    assert decided.step == 2
    assert {name for name, nth in decided.value.items() if nth != 1} == {"samples"}
    steps = sorted({sample["step"] for sample in run.samples()})
    assert steps == [0, 1, 100]  # two before it is known what one takes, and the last
    assert run.status().details["looks_seconds"]["samples"] == 12.0
