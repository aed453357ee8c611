"""The short way through a step does what Lightning's own way does: the same losses, files, counters and order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from lab.__main__ import main
from lab.runs import open_run
from lab.training.loop import StepLoop
from tests.tiny import losses, tiny_args

ways: list[bool] = []
HARD = ("--data.tokens_per_step", "128", "--model.config.dropout", "0.2", "--trainer.precision", "bf16-mixed")


class Stranger(Callback):
    """A callback from outside that does nothing: Lightning's own way is taken for its sake."""


@pytest.fixture(autouse=True)
def _note_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    ways.clear()
    begin = StepLoop.on_run_start

    def on_run_start(self: StepLoop, data_fetcher: Any) -> None:
        begin(self, data_fetcher)
        ways.append(self.is_short)

    monkeypatch.setattr(StepLoop, "on_run_start", on_run_start)


def fit(tmp_path: Path, name: str, *more: str) -> Path:
    assert main(["fit", *tiny_args(tmp_path, *HARD, *more, name=name)]) == 0
    return tmp_path / "runs" / name


def stored(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def events(run: Path) -> list[tuple[str, int]]:
    return [(event.kind, event.step or 0) for event in open_run(run).events()]


def measured(run: Path) -> set[str]:
    """The names of everything that was logged."""
    return {name for row in open_run(run).metrics().rows for name in row}


def test_both_ways_make_the_same_run(tmp_path: Path) -> None:
    short = fit(tmp_path, "short")
    long = fit(tmp_path, "long", "--trainer.callbacks+", "tests.training.test_loop.Stranger")
    assert ways == [True, False]
    assert losses(short) == losses(long)
    # Sorted: a thread writes checkpoints, and their events when it is done.
    assert sorted(events(short)) == sorted(events(long))
    assert measured(short) == measured(long) >= {"stats/grad_norm.layer0", "stats/entropy.layer1"}
    ours, theirs = stored(short), stored(long)
    assert ours["global_step"] == theirs["global_step"] == 12
    for counter in ("epoch_loop.batch_progress", "epoch_loop.manual_optimization.optim_step_progress"):
        assert ours["loops"]["fit_loop"][counter] == theirs["loops"]["fit_loop"][counter]
    assert all(torch.equal(ours["state_dict"][name], weight) for name, weight in theirs["state_dict"].items())


def test_a_profiler_sees_every_hook(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fit(tmp_path, "profiled", "--trainer.profiler", "simple")
    assert ways == [False]
    assert "[Callback]MetricsLog.on_train_batch_end" in caplog.text
    assert "optimizer_step" in caplog.text


def test_a_run_may_change_its_way_on_resuming(tmp_path: Path) -> None:
    steady = ("--model.schedule.kind", "constant", "--model.schedule.warmup_steps", "0")
    whole, part = fit(tmp_path, "whole", *steady), fit(tmp_path, "part", *steady, "--horizon.steps", "6")
    again = ["fit", "--resume", "part", "--run.root", str(tmp_path / "runs"), "--horizon.steps", "12"]
    assert main([*again, "--trainer.callbacks+", "tests.training.test_loop.Stranger"]) == 0
    assert ways == [True, True, False]
    assert losses(part) == losses(whole)
