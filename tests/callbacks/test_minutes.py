"""A horizon in minutes: the number of steps follows the clock, and a resumed run repeats what was decided."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

import lab.fitting.decisions as decisions
from lab.__main__ import main
from lab.callbacks.minutes import Minutes
from lab.runs import Run
from lab.runs.events import Decided, Rewound, of_kind
from lab.training.callback import FitContext
from lab.training.schedules import Course
from tests.tiny import losses, tiny_args

SECONDS = 24.0
QUIET = ("--snapshots.every=0", "--probes.every=0", "--checkpoint.every=10", "--log.every=1")
STEADY = ((0, 0.5),)  # half a second a step, as it is measured before the start
SLOWER = ((0, 0.5), (15, 1.5))  # a neighbour from step 15 on
FASTER = ((0, 0.25),)


def fit(*args: str, steps: Sequence[tuple[int, float]] = STEADY, die_at: int | None = None) -> int:
    """A fit by a clock of its own: `(from step, seconds a step)`; ended by kill -9 once step `die_at` is decided on."""

    def at(step: int) -> float:
        return sum(next(each for since, each in reversed(steps) if n >= since) for n in range(step))

    class ByOurClock(Minutes):
        def _times(self, fit: FitContext) -> tuple[float, float]:
            return at(fit.step), 0.0

        def _end_seconds(self, fit: FitContext) -> float:
            return 0.0

        def after_step(self, fit: FitContext) -> None:
            super().after_step(fit)
            if fit.step == die_at:
                fit.checkpoint_io.finish()
                os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.fitting.trainer.Minutes", ByOurClock)
        patch.setattr(decisions, "seconds_per_step", lambda *given: 0.5)
        return main(["fit", *args])


def begin(folder: Path, *more: str) -> list[str]:
    args = tiny_args(folder, *QUIET, *more)
    at = args.index("--horizon.steps")
    return [*args[:at], "--horizon.minutes", str(SECONDS / 60), *args[at + 2 :]]


def killed(*args: str, steps: Sequence[tuple[int, float]], die_at: int) -> None:
    code = f"from tests.callbacks.test_minutes import fit; fit(*{args!r}, steps={steps!r}, die_at={die_at})"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300)
    assert done.returncode == -signal.SIGKILL


def decided(run: Run) -> list[tuple[int, int]]:
    """Steps of the revisions, and the number of steps that each ends at."""
    return [
        (event.step, event.value["total_steps"]) for event in of_kind(run.events(), Decided) if event.what == "horizon"
    ]


def rates(run: Run) -> list[float]:
    return run.metrics().series("train/lr")[1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wsd", "cosine", "linear"])
def test_the_number_of_steps_follows_the_clock_and_the_rate_does_not_jump(tmp_path: Path, kind: str) -> None:
    more = (f"--model.schedule.kind={kind}", "--model.schedule.final_lr_fraction=0")
    assert fit(*begin(tmp_path, *more), steps=SLOWER) == 0
    run = Run(tmp_path / "runs" / "tiny")
    status, seams = run.status(), run.seams()
    n_steps = 15 + round((SECONDS - 7.5) / 1.5)
    assert (status.state, status.step) == ("completed", status.total_steps)
    assert status.total_steps == pytest.approx(n_steps, abs=1)
    assert len(losses(run.path)) == status.total_steps
    assert 1 <= len(decided(run)) <= 8
    assert seams is not None
    course = Course.parse(status.details["course"])
    assert course is not None
    assert course.planned == seams.last.total_steps == 44, "what was laid out stays what the schedule is of"
    assert course.total == status.total_steps
    lr = rates(run)
    assert max(abs(one - two) for one, two in pairwise(lr)) <= 0.45 * max(lr), "three steps of decay"
    assert lr[-1] < 0.45 * max(lr)
    assert status.eta_seconds is None


@pytest.fixture(scope="module")
def after_kill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slower from step 15 on; dead right after the first decision behind the checkpoint of step 10."""
    folder = tmp_path_factory.mktemp("killed")
    killed(*begin(folder), steps=SLOWER, die_at=19)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("steps", [STEADY, FASTER, SLOWER])
def test_a_resumed_run_repeats_the_decisions_whatever_its_own_clock_says(
    after_kill: Path, tmp_path: Path, steps: Sequence[tuple[int, float]]
) -> None:
    shutil.copytree(after_kill, tmp_path, dirs_exist_ok=True)
    run = Run(tmp_path / "runs" / "tiny")
    before, wanted = losses(run.path), decided(run)
    assert [step for step, _ in wanted if step > 10], "the kill came after a decision that no checkpoint has"
    assert fit("--resume", "tiny", "--run.root", str(run.path.parent), steps=steps) == 0
    after, found = losses(run.path), decided(run)
    assert of_kind(run.events(), Rewound)[0].step == 10
    assert found[: len(wanted)] == wanted
    assert {step: after[step] for step in before} == before
    assert run.status().step == run.status().total_steps == found[-1][1]


@pytest.mark.slow
def test_a_new_length_frees_the_run_of_what_was_decided(after_kill: Path, tmp_path: Path) -> None:
    shutil.copytree(after_kill, tmp_path, dirs_exist_ok=True)
    run = Run(tmp_path / "runs" / "tiny")
    assert fit("--resume", "tiny", "--run.root", str(run.path.parent), "--horizon.steps", "23") == 0
    status = run.status()
    assert (status.step, status.total_steps, status.details["course"]) == (23, 23, None)


@pytest.mark.slow
def test_a_fork_goes_on_by_the_clock_of_its_parent(after_kill: Path, tmp_path: Path) -> None:
    shutil.copytree(after_kill, tmp_path, dirs_exist_ok=True)
    root = tmp_path / "runs"
    assert fit("--fork", "tiny@10", "--run.root", str(root), "--run.name", "branch", steps=STEADY) == 0
    branch = Run(root / "branch")
    assert branch.status().total_steps == pytest.approx(SECONDS / 0.5, abs=2)
    assert rates(branch)[0] == rates(Run(root / "tiny"))[10]


@pytest.mark.slow
def test_a_warm_up_in_steps_shrinks_where_few_steps_fit(tmp_path: Path) -> None:
    more = ("--model.schedule.kind=wsd", "--model.schedule.warmup_steps=40", "--model.schedule.decay_fraction=0.4")
    assert fit(*begin(tmp_path, *more), steps=((0, 2.0),)) == 0
    run = Run(tmp_path / "runs" / "tiny")
    lr = rates(run)
    assert run.status().total_steps == pytest.approx(12, abs=1)
    assert lr.index(max(lr)) > 0
    assert lr[-1] < max(lr)


def test_other_horizons_decide_nothing(tmp_path: Path) -> None:
    assert main(["fit", *tiny_args(tmp_path, *QUIET, steps=6)]) == 0
    run = Run(tmp_path / "runs" / "tiny")
    assert decided(run) == []
    assert "course" not in run.status().details
