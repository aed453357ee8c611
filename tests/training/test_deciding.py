"""What a run decides while it trains is on record before it counts, and a resumed run repeats it bit for bit."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lab.fitting.trainer as trainer
from lab.__main__ import main
from lab.runs import Run
from lab.runs.events import Decided, Event, Resumed, Rewound, Started
from lab.training.callback import FitContext
from lab.training.deciding import Deciding, on_record
from tests.patience import PATIENCE
from tests.tiny import losses, tiny_args

STEPS = 30
QUIET = ("--validation.every=0", "--snapshots.every=0", "--probes.every=0", "--checkpoint.every=10", "--log.every=1")


class Clip(Deciding):
    """Every fourth step another limit of the gradient's norm, drawn anew by each process."""

    what = "clip"
    settings = ("model.optimizer.clip",)

    def __init__(self, every: int = 4, die_at: int | None = None) -> None:
        super().__init__()
        self.every, self.die_at = every, die_at
        self.random = random.Random()

    def decide(self, fit: FitContext) -> tuple[Any, str] | None:
        return (self.random.uniform(0.01, 0.5), "drawn by lot") if fit.step % self.every == 0 else None

    def apply(self, fit: FitContext, value: Any) -> None:
        fit.module.optimizer_config = replace(fit.module.optimizer_config, clip=value)

    def after_step(self, fit: FitContext) -> None:
        super().after_step(fit)
        if fit.step == self.die_at:
            fit.checkpoint_io.finish()
            os.kill(os.getpid(), signal.SIGKILL)


def fit(*args: str, every: int = 4, die_at: int | None = None) -> int:
    """A fit with `Clip` among its callbacks."""
    context = trainer.FitContext

    def with_clip(*given: Any, **named: Any) -> FitContext:
        made = context(*given, **named)
        made.callbacks = (made.callbacks[0], Clip(every, die_at), *made.callbacks[1:])
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "FitContext", with_clip)
        return main(["fit", *args])


def killed(*args: str, every: int = 4, die_at: int) -> None:
    """The same in a process of its own, ended by kill -9 after the decision of step `die_at`, before its update."""
    code = f"from tests.training.test_deciding import fit; fit(*{args!r}, every={every}, die_at={die_at})"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=PATIENCE)
    assert done.returncode == -signal.SIGKILL


def decided(run: Run) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in on_record(run.events(), "clip", Clip.settings)[0]]


@pytest.fixture(scope="module")
def after_kill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints at 10 and 20, decisions at 4, 8, …, 24, and dead right after that of step 24."""
    folder = tmp_path_factory.mktemp("killed")
    killed(*tiny_args(folder, *QUIET, steps=STEPS), die_at=24)
    return folder


def copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to, dirs_exist_ok=True)
    return to / "runs" / "tiny"


def resume(run: Path, *more: str) -> list[str]:
    return ["--resume", "tiny", "--run.root", str(run.parent), *more]


@pytest.mark.slow
def test_a_decision_is_on_record_before_the_step_that_it_counts_for(after_kill: Path) -> None:
    run = Run(after_kill / "runs" / "tiny")
    assert [step for step, _ in decided(run)] == [4, 8, 12, 16, 20, 24]
    assert max(losses(run.path)) == 23, "the update after step 24 was never made"


@pytest.mark.slow
def test_a_resumed_run_repeats_what_was_decided_and_decides_nothing_before_where_it_had_come(
    after_kill: Path, tmp_path: Path
) -> None:
    path = copy(after_kill, tmp_path)
    before, wanted = losses(path), decided(Run(path))
    assert fit(*resume(path), every=3) == 0  # other steps than the first process would have chosen
    found = decided(Run(path))
    assert found[: len(wanted)] == wanted, "nothing changed, nothing lost, nothing between"
    assert [step for step, _ in found[len(wanted) :]] == [27], "behind where it had come it decides again"
    after = losses(path)
    assert {step: after[step] for step in before} == before
    assert len(after) == STEPS


@pytest.mark.slow
def test_resumed_twice_it_still_repeats_up_to_the_furthest_step(after_kill: Path, tmp_path: Path) -> None:
    path = copy(after_kill, tmp_path)
    before, wanted = losses(path), decided(Run(path))
    killed(*resume(path), every=1, die_at=22)
    assert decided(Run(path)) == wanted, "killed in the midst of what it repeats"
    assert fit(*resume(path), every=1) == 0
    assert decided(Run(path))[: len(wanted)] == wanted
    assert {step: loss for step, loss in losses(path).items() if step in before} == before


@pytest.mark.slow
def test_a_change_of_its_setting_drops_what_was_decided_and_later_resumes_know_that(
    after_kill: Path, tmp_path: Path
) -> None:
    path = copy(after_kill, tmp_path)
    killed(*resume(path, "--model.optimizer.clip", "0.75"), every=7, die_at=24)
    assert [step for step, _ in decided(Run(path))] == [21]
    before = losses(path)
    assert fit(*resume(path), every=7) == 0
    assert [step for step, _ in decided(Run(path))] == [21, 28]
    assert {step: loss for step, loss in losses(path).items() if step in before} == before


@pytest.mark.slow
def test_another_setting_drops_nothing(after_kill: Path, tmp_path: Path) -> None:
    path = copy(after_kill, tmp_path)
    wanted = decided(Run(path))
    assert fit(*resume(path, "--model.optimizer.lr", "0.002")) == 0
    assert decided(Run(path))[: len(wanted)] == wanted


@pytest.mark.slow
def test_a_fork_begins_with_what_held_and_repeats_nothing_of_its_parent(after_kill: Path, tmp_path: Path) -> None:
    path = copy(after_kill, tmp_path)
    held = dict(decided(Run(path)))
    args = ["--fork", "tiny@10", "--run.root", str(path.parent), "--run.name", "branch", "--horizon.steps", "14"]
    assert fit(*args, every=13) == 0
    branch = path.parent / "branch"
    assert [step for step, _ in decided(Run(branch))] == [13]
    before, after = losses(path), losses(branch)
    assert held[8] > 0
    assert before[10] == after[10], "the first step with the limit that was decided at step 8"


def test_what_is_on_record_survives_rewinds_and_ends_with_a_drop() -> None:
    def made(step: int, value: int) -> Decided:
        return Decided(step=step, what="a", value=value, reason="")

    events = [made(4, 1), made(8, 2), Rewound(step=5, rewound_from=9), Decided(step=6, what="b", value=0, reason="")]
    assert on_record(events, "a") == ([made(4, 1), made(8, 2)], 9)
    assert on_record([*events, Rewound(step=5, rewound_from=7)], "a")[1] == 9, "killed while it repeated"
    assert on_record([made(8, 2), made(6, 3)], "a")[0] == [made(6, 3)], "the later line counts"


def test_a_change_of_settings_drops_what_was_decided_under_others() -> None:
    def made(step: int) -> Decided:
        return Decided(step=step, what="a", value=0, reason="")

    def resumed(step: int, **changed: int) -> Resumed:
        return Resumed(step=step, changed={f"s.{name}": {"from": 0, "to": to} for name, to in changed.items()})

    def steps(*events: Event) -> list[int]:
        return [event.step for event in on_record(events, "a", ("s.x",))[0]]

    first = (Started(step=0, changed={}), made(4), made(8))
    assert steps(*first, resumed(5), Rewound(step=5, rewound_from=9)) == [4, 8]
    assert steps(*first, resumed(5, y=1)) == [4, 8], "a setting of something else"
    changed = (*first, resumed(5, x=1), Rewound(step=5, rewound_from=9), made(7))
    assert on_record(changed, "a", ("s.x",)) == ([made(7)], -1)
    assert steps(*changed, resumed(5, x=1)) == [7], "the same change, against the same checkpoint"
    assert steps(*changed, resumed(6)) == [7], "no change against a later checkpoint"
    assert steps(*changed, resumed(6, x=0)) == []
    assert steps(*changed, resumed(5)) == [], "changed back"
    again = (*changed, resumed(5, x=1), Rewound(step=5, rewound_from=8))
    assert on_record(again, "a", ("s.x",))[1] == 8
