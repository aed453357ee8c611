"""Whoever ends a training before its last step: saved, named, and gone on from with the same losses."""

from __future__ import annotations

import builtins
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from lightning.pytorch.callbacks import EarlyStopping, LambdaCallback, Timer

from lab.__main__ import main
from lab.runs import open_run
from lab.training.stopping import StoppableTrainer
from tests.callbacks.fits import OFF
from tests.tiny import losses, tiny_args

STEPS = 14


class Stops(L.Callback):
    """Asks for the end at one moment, from a step on."""

    def __init__(self, moment: str, step: int = 5) -> None:
        self.moment, self.step = moment, step

    def __getattribute__(self, name: str) -> Any:
        here = object.__getattribute__(self, "__dict__")
        return object.__getattribute__(self, "_stop") if name == here.get("moment") else super().__getattribute__(name)

    def _stop(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.global_step >= self.step:
            trainer.should_stop = True


class Raises(L.Callback):
    """Raises an error of that name at one step."""

    def __init__(self, error: str, step: int = 5) -> None:
        self.error, self.step = error, step

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            raise getattr(builtins, self.error)("of a user's own")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    tmp_path = tmp_path_factory.mktemp("alone")
    assert main(["fit", *tiny_args(tmp_path, *OFF, steps=STEPS)]) == 0
    return losses(tmp_path / "runs" / "tiny")


MOMENTS = {
    "on_train_start": 0,
    "on_train_epoch_start": 0,
    "on_train_batch_start": 5,
    "on_before_optimizer_step": 5,
    "on_train_batch_end": 5,
    "on_validation_end": 5,
}
"""Lightning's hook → the step from which on it asks; an epoch has no end before the run's."""


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("last", [False, True])
def test_a_callback_that_stops_is_saved_named_and_gone_on_from(
    moment: str, last: bool, tmp_path: Path, alone: dict[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [f"--trainer.callbacks+={__name__}.Stops", f"--trainer.callbacks.moment={moment}"]
    chosen += [f"--trainer.callbacks.step={MOMENTS[moment]}"]
    other = ["--trainer.callbacks+=lightning.pytorch.callbacks.LearningRateMonitor"]
    args = tiny_args(tmp_path, *OFF, *(other + chosen if last else chosen + other), "--validation.every=3", steps=STEPS)
    assert main(["fit", *args, "--tensorboard=true", "--checkpoint.every=0"]) == 0
    run = open_run(tmp_path / "runs" / "tiny")
    status, (saved,) = run.status(), run.checkpoints()
    step = status.step
    assert status.state == "stopped"
    assert MOMENTS[moment] <= saved.step == step < STEPS
    assert status.message == f"stopped at step {step} of {STEPS} by Stops, saved"
    shown = capsys.readouterr().out
    assert f"{status.message}. Go on: python -m lab fit --resume tiny" in shown
    assert "a sample" not in shown
    assert main(["fit", "--resume", "tiny", "--run.root", str(tmp_path / "runs"), "--trainer.callbacks=null"]) == 0
    assert run.status().state == "completed"
    assert losses(run.path) == alone


def test_a_time_limit_is_saved_and_counts_for_each_process(tmp_path: Path, alone: dict[int, str]) -> None:
    limit = ["--trainer.max_time", "{microseconds: 1}"]
    assert main(["fit", *tiny_args(tmp_path, *OFF, *limit, "--checkpoint.every=0", steps=STEPS)]) == 0
    run = open_run(tmp_path / "runs" / "tiny")
    for _ in range(3):
        step = run.status().step
        assert run.status().message == f"stopped at step {step} of {STEPS} by trainer.max_time, saved"
        assert run.checkpoints()[-1].step == step
        assert main(["fit", "--resume", "tiny", "--run.root", str(run.path.parent)]) == 0
    assert main(["fit", "--resume", "tiny", "--run.root", str(run.path.parent), "--trainer.max_time=null"]) == 0
    assert losses(run.path) == alone


def test_early_stopping_says_why(tmp_path: Path) -> None:
    early = [
        "--trainer.callbacks+=lightning.pytorch.callbacks.EarlyStopping",
        "--trainer.callbacks.monitor=val/loss",
        "--trainer.callbacks.patience=1",
        "--trainer.callbacks.min_delta=9",
    ]
    assert main(["fit", *tiny_args(tmp_path, *OFF, *early, "--validation.every=2", steps=STEPS)]) == 0
    run = open_run(tmp_path / "runs" / "tiny")
    message, step = run.status().message or "", run.status().step
    assert message.startswith(f"stopped at step {step} of {STEPS} by EarlyStopping (monitored metric val/loss did not")
    assert message.endswith("), saved")
    assert run.checkpoints()[-1].step == step


def test_who_asked_for_the_end() -> None:
    own = Timer(timedelta(0))
    trainer = StoppableTrainer(callbacks=[own], logger=False, enable_checkpointing=False, accelerator="cpu")
    own._check_time_remaining(trainer)
    assert trainer.why_stopped() == "by Timer"
    trainer.should_stop = False
    assert not trainer.should_stop
    LambdaCallback(on_train_end=lambda t, _: setattr(t, "should_stop", True)).on_train_end(trainer, None)  # type: ignore[arg-type]
    assert trainer.why_stopped() == "by a callback"
    EarlyStopping("loss")  # the first to ask is named
    assert trainer.why_stopped() == "by a callback"
    trainer.stop("by SIGTERM")
    assert trainer.should_stop
    assert trainer.why_stopped() == "by SIGTERM"


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit", "KeyError"])
def test_what_a_callback_breaks_off_between_two_steps_is_saved(
    error: str, tmp_path: Path, alone: dict[int, str]
) -> None:
    args = tiny_args(tmp_path, *OFF, f"--trainer.callbacks+={__name__}.Raises", "--checkpoint.every=0", steps=STEPS)
    with pytest.raises((SystemExit, RuntimeError)):
        main(["fit", *args, f"--trainer.callbacks.error={error}"])
    run = open_run(tmp_path / "runs" / "tiny")
    assert [info.step for info in run.checkpoints()] == [5]
    assert run.status().step == 5
    again = ["--trainer.callbacks=null", "--run.root", str(tmp_path / "runs")]
    assert main(["fit", "--resume", "tiny", *again]) == 0
    assert losses(tmp_path / "runs" / "tiny") == alone
