"""What a change in the middle of a run does to its learning rate."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab.__main__ import main
from lab.runs import Run, open_run
from tests.tiny import tiny_args

STEPS = 20


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with a finished one on a cosine, checkpoints at 10 and 20."""
    folder = tmp_path_factory.mktemp("done")
    more = ("--checkpoint.every=10", "--checkpoint.keep=9", "--validation.every=0", "--snapshots.every=0")
    assert main(["fit", *tiny_args(folder, *more, steps=STEPS)]) == 0
    return folder / "runs"


@pytest.fixture
def run(done: Path, tmp_path: Path) -> Run:
    shutil.copytree(done, tmp_path / "runs")
    return open_run("tiny", tmp_path / "runs")


def go_on(run: Run, *flags: str) -> int:
    return main(["fit", *flags, "--run.root", str(run.path.parent)])


def rates(run: Run) -> list[float]:
    return run.metrics().series("train/lr")[1]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_longer_horizon_of_a_finished_run_says_how_the_rate_jumps(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go_on(run, "--resume", "tiny", "--horizon.steps=100") == 0
    told = said(capsys)
    assert "learning rate 0.0001 → 0.00094" in told
    assert "at step 20 (× 9." in told
    assert "--fork tiny@20 --model.schedule.rewarm_steps 4" in told
    assert "--model.schedule.kind wsd" in told
    seams = run.seams()
    assert seams is not None
    assert seams.last.rates == pytest.approx((1e-4, rates(run)[STEPS]))


CHANGES = ["model.optimizer.lr=0.01", "model.schedule.kind=constant", "model.schedule.warmup_steps=15"]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["resume", "fork"])
def test_every_change_that_makes_the_rate_jump_says_so(
    run: Run, change: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "resume":
        run.checkpoints()[-1].path.unlink()
    onto = ("--resume", "tiny") if kind == "resume" else ("--fork", "tiny@10", "--run.name", "child")
    before = rates(run)[10]
    assert go_on(run, *onto, f"--{change}") == 0
    after = rates(open_run("tiny" if kind == "resume" else "child", run.path.parent))[10 if kind == "resume" else 0]
    assert f"learning rate {before:.3g} → {after:.3g} at step 10" in said(capsys)


def test_what_leaves_the_rate_as_it_was_says_nothing_of_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert go_on(run, "--fork", "tiny@10", "--run.name", "child", "--data.batch_size=8") == 0
    assert "learning rate" not in said(capsys)


def test_a_warm_up_leads_from_the_rate_before_to_the_schedule(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    more = ("--horizon.steps=100", "--model.schedule.rewarm_steps=8", "--checkpoint.every=4", "--checkpoint.keep=99")
    assert go_on(run, "--fork", "tiny@20", "--run.name", "child", *more) == 0
    assert "over 8 steps" in said(capsys)
    child = open_run("child", run.path.parent)
    whole = rates(child)
    assert all(0 < b - a < 2e-4 for a, b in zip([1e-4, *whole[:8]], whole[:9], strict=True))
    plain = go_on(run, "--fork", "tiny@20", "--run.name", "jumps", "--horizon.steps=100")
    assert plain == 0
    assert whole[8:] == rates(open_run("jumps", run.path.parent))[8:]
    for info in child.checkpoints():  # as if it had been killed in the middle of the warm-up
        if info.step > 24:
            info.path.unlink()
    assert go_on(run, "--resume", "child", "--validation.every=3") == 0
    assert rates(child) == whole
