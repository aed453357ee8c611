"""When a run is validated, on which part of the text, and how its share of the run's time is kept."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lab.training.callback
from lab.__main__ import main
from lab.callbacks.validation import PER_RUN, Validation
from lab.data.datamodule import LabDataModule
from lab.runs import Run, metrics, open_run
from lab.runs.events import Decided, PutOff, of_kind
from lab.training import logbook, looking
from lab.training.module import PretrainingModule
from tests.tiny import tiny_args, write_corpus


@settings(deadline=None)
@given(st.integers(1, 2000))
def test_at_the_start_at_the_end_and_at_most_twenty_times_after_the_start(steps: int) -> None:
    validation = Validation()
    at = [step for step in range(steps + 1) if validation.due(step, steps)]
    assert at[0] == 0
    assert at[-1] == steps
    assert len(at) <= PER_RUN + 1


def test_what_the_end_will_take_is_what_the_budget_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of 600 s that may validate for 30: 100 of 1000 windows a look."""
    monkeypatch.setattr(looking, "LEAST_SECONDS", 60.0)
    monkeypatch.setattr(Validation, "subset", lambda self, data: np.arange(100))
    sequences = SimpleNamespace(n_val=1000)
    clock = SimpleNamespace(seconds=lambda: 600.0)
    known = {"step": 99, "total_steps": 100, "looks": looking.LookTimes(), "logbook": SimpleNamespace(clock=clock)}
    fit: Any = SimpleNamespace(**known, data=SimpleNamespace(sequences=sequences))

    def end_seconds(window: float, every: int | None = None) -> float:
        validation = Validation(every)
        validation._read = (100, 100 * window)
        return validation.end_seconds(fit)

    assert end_seconds(0.01) == pytest.approx(11.0), "the subset and the whole split"
    assert end_seconds(0.1) == pytest.approx(10.0), "110 s are too much"
    assert end_seconds(1.0) == 0.0, "so is the subset: nothing is read, and nothing put by"
    assert end_seconds(1.0, every=10) == pytest.approx(1100.0), "a cadence that is set is kept whatever it takes"
    assert end_seconds(1.0, every=0) == 0.0


def test_zero_is_never_and_below_it_is_refused() -> None:
    assert not any(Validation(0).due(step, 10) for step in range(11))
    with pytest.raises(ValueError, match=r"validation\.every is -1"):
        Validation(-1)
    with pytest.raises(ValueError, match=r"validation\.windows is 1: give at least 2, or 0 for the whole split"):
        Validation(windows=1)


def test_other_weights_than_those_trained_end_the_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--trainer.callbacks", "tests.callbacks.swapping.HomeMade", "--validation.every", "2"]
    assert main(["fit", *tiny_args(tmp_path, *own)]) == 2
    assert "trainer.callbacks has HomeMade: at step 2 other weights are validated" in capsys.readouterr().err
    assert open_run("tiny", tmp_path / "runs").status().state == "failed"


# ---------------------------------------------------------------- the subset


def fit(tmp_path: Path, name: str, *more: str, steps: int = 40, windows: int | None = 4) -> Run:
    asked = [] if windows is None else ["--validation.windows", str(windows)]
    assert main(["fit", *tiny_args(tmp_path, *asked, *more, name=name, steps=steps)]) == 0
    return open_run(name, tmp_path / "runs")


def series(run: Run, metric: str) -> dict[int, float]:
    return dict(zip(*run.metrics().series(metric), strict=True))


def test_looks_read_the_subset_and_the_end_also_the_whole_split(tmp_path: Path) -> None:
    run = fit(tmp_path, "one", "--validation.every", "10")
    subset, whole = series(run, metrics.VAL_SUBSET_LOSS), series(run, metrics.VAL_LOSS)
    assert [*subset] == [0, 10, 20, 30, 40] == [*series(run, metrics.VAL_SUBSET_LOSS_ERROR)]
    assert [*whole] == [40] == [*series(run, metrics.VAL_LOSS_ERROR)]
    assert subset[40] != whole[40]
    assert abs(subset[40] - whole[40]) < 5 * series(run, metrics.VAL_SUBSET_LOSS_ERROR)[40]
    losses = run.checkpoints()[-1].losses
    assert (losses[metrics.VAL_SUBSET_LOSS], losses[metrics.VAL_LOSS]) == (subset[40], whole[40])


def test_a_split_no_larger_than_the_subset_is_read_whole_under_its_own_name(tmp_path: Path) -> None:
    run = fit(tmp_path, "small", "--validation.every", "20", windows=None)
    assert [*series(run, metrics.VAL_LOSS)] == [0, 20, 40]
    assert not series(run, metrics.VAL_SUBSET_LOSS)
    asked = fit(tmp_path, "asked", "--validation.every", "20", windows=0)
    assert series(asked, metrics.VAL_LOSS) == series(run, metrics.VAL_LOSS)


def test_the_subset_is_that_of_the_text_whatever_the_run(tmp_path: Path) -> None:
    """The same windows for other seeds of the batches, sizes of them, parts of the split, and after a resume."""

    def windows(**asked: Any) -> np.ndarray:
        path = str(write_corpus(tmp_path / "text.txt", 9000))
        data = LabDataModule(corpus="text", path=path, tokenizer="char", context_length=16, **asked)
        data.prepare_data()
        rows = Validation(windows=40).subset(data)
        assert rows is not None
        return data.sequences.val_rows(rows)[1]

    one = windows()
    assert one.shape == (40, 16)
    for other in ({"batch_size": 3}, {"val_tokens": 1600}, {"val_tokens": 3200}, {"tokens_per_step": 512}):
        assert np.array_equal(windows(**other), one), other
    assert not np.array_equal(windows(val_fraction=0.2), one)


def test_the_loss_on_the_subset_does_not_depend_on_how_the_run_reads_it(tmp_path: Path) -> None:
    fixed = ("--trainer.precision", "32-true", "--seed_everything", "3", "--validation.every", "20")
    one = fit(tmp_path, "one", *fixed)
    other = fit(tmp_path, "other", *fixed, "--data.batch_size", "8", "--data.val_tokens", "512", steps=20)
    assert series(other, metrics.VAL_SUBSET_LOSS)[0] == pytest.approx(series(one, metrics.VAL_SUBSET_LOSS)[0], abs=1e-6)


def test_a_resumed_run_goes_on_along_the_same_curve(tmp_path: Path) -> None:
    fixed = ("--validation.every", "10", "--checkpoint.every", "10", "--levers.threads", "1")
    whole = fit(tmp_path, "whole", *fixed)
    fit(tmp_path, "part", *fixed, "--checkpoint.milestones", "20")
    part = open_run("part", tmp_path / "runs")
    for info in part.checkpoints():
        if info.step > 20:
            info.path.unlink()
    assert main(["fit", "--resume", "part", "--run.root", str(tmp_path / "runs")]) == 0
    assert series(part, metrics.VAL_SUBSET_LOSS) == series(whole, metrics.VAL_SUBSET_LOSS)
    assert series(part, metrics.VAL_LOSS) == series(whole, metrics.VAL_LOSS)


# ---------------------------------------------------------------- a signal


def test_a_signal_breaks_off_a_long_validation_at_its_next_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is saved at that step, and the resumed one measures it there."""
    read, batches = PretrainingModule.validation_step, []

    def validation_step(module: Any, batch: Any, batch_idx: int) -> None:
        batches.append(module.trainer.global_step)
        if batches.count(2) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        read(module, batch, batch_idx)

    monkeypatch.setattr(PretrainingModule, "validation_step", validation_step)
    slow = ("--validation.every", "2", "--data.batch_size", "1", "--data.val_tokens", "1600")  # 100 batches
    assert main(["fit", *tiny_args(tmp_path, *slow, steps=4, name="long")]) == 128 + signal.SIGTERM
    run = open_run("long", tmp_path / "runs")
    assert batches.count(2) == 5
    assert [info.step for info in run.checkpoints()] == [2]
    assert "broken off after 5 of 100 windows: a signal ends the run" in of_kind(run.events(), PutOff)[0].reason
    assert [*series(run, metrics.VAL_LOSS)] == [0]
    batches[:] = [2] * 10  # no further signal
    assert main(["fit", "--resume", "long", "--run.root", str(tmp_path / "runs")]) == 0
    assert [*series(run, metrics.VAL_LOSS)] == [0, 2, 4]


# ---------------------------------------------------------------- the budget


class Clock:
    """Seconds that pass as a test says: so many a step, and so many a window that is validated."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: Callable[[int], float], window: float) -> None:
        self.now = 0.0
        monkeypatch.setattr(looking, "LEAST_SECONDS", 60.0)
        monkeypatch.setattr(logbook, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(lab.training.callback, "LookTimes", lambda: looking.LookTimes(lambda: self.now))
        act, read = PretrainingModule.learn, PretrainingModule.validation_step

        def learn(module: Any, *args: Any) -> None:
            self.now += step(module.trainer.global_step)
            act(module, *args)

        def validation_step(module: Any, batch: Any, batch_idx: int) -> None:
            self.now += window * len(batch[0])
            read(module, batch, batch_idx)

        monkeypatch.setattr(PretrainingModule, "learn", learn)
        monkeypatch.setattr(PretrainingModule, "validation_step", validation_step)


BUDGETED = ("--checkpoint.every", "10", "--data.val_tokens", "256")  # 16 windows


def shares(run: Run) -> tuple[float, float]:
    """Seconds of the run, and of them the share of validation."""
    seconds = max(run.metrics().series("time")[1])
    return seconds, run.status().details["looks_seconds"]["validation"] / seconds


@pytest.mark.parametrize("window", [0.05, 0.3])
def test_validation_takes_at_most_a_twentieth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: float) -> None:
    Clock(monkeypatch, lambda step: 4.0, window)
    run = fit(tmp_path, "budget", *BUDGETED, steps=60)
    seconds, share = shares(run)
    assert seconds >= 240
    assert share <= 0.05
    at = [*series(run, metrics.VAL_SUBSET_LOSS)]
    assert (at[0], at[-1]) == (0, 60)
    assert [*series(run, metrics.VAL_LOSS)] == [60]
    assert {step % 3 for step in at} == {0}
    decided = [event for event in of_kind(run.events(), Decided) if event.what == "validation"]
    assert bool(decided) == (window > 0.12)  # 21 looks at 4 windows, and 16 at the end: 100 windows
    assert all(event.value & (event.value - 1) == 0 for event in decided)


def test_steps_that_become_faster_make_looks_rarer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, lambda step: 4.0 if step < 30 else 0.5, 0.1)
    run = fit(tmp_path, "faster", *BUDGETED, steps=100)
    assert shares(run)[1] <= 0.05
    assert of_kind(run.events(), Decided)


def test_what_is_set_is_done_whatever_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, lambda step: 1.0, 1.0)
    run = fit(tmp_path, "set", *BUDGETED, "--validation.every", "10", steps=100)
    assert [*series(run, metrics.VAL_SUBSET_LOSS)] == [*range(0, 101, 10)]
    assert [*series(run, metrics.VAL_LOSS)] == [100]
    assert shares(run)[1] > 0.3


def test_a_run_shorter_than_a_minute_keeps_all_its_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, lambda step: 0.2, 0.3)
    run = fit(tmp_path, "short", *BUDGETED, steps=20)
    assert len(series(run, metrics.VAL_SUBSET_LOSS)) == 21


def test_what_even_once_would_take_too_long_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step of 64 tokens takes 60 s, three times what reading these does; the subset of as many is 20 s of 480."""
    Clock(monkeypatch, lambda step: 60.0, 5.0)
    run = fit(tmp_path, "slow", *BUDGETED, "--data.batch_size", "1", "--data.tokens_per_step", "64", steps=8)
    assert shares(run)[1] <= 0.05
    assert not series(run, metrics.VAL_LOSS) | series(run, metrics.VAL_SUBSET_LOSS)
    reasons = [event.reason for event in of_kind(run.events(), PutOff)]
    assert "validation broken off after 2 of 4 windows" in reasons[0]
    assert "python -m lab validate slow reads it" in reasons[-1]
    assert "was not read at the end" in capsys.readouterr().err
    assert main(["validate", "slow", "--run.root", str(tmp_path / "runs")]) == 0


def test_the_whole_split_gives_way_before_the_curve_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, lambda step: 2.0, 0.5)
    run = fit(
        tmp_path, "curve", "--checkpoint.every", "10", "--data.val_tokens", "2048", steps=100
    )  # 128 windows, 64 s
    assert shares(run)[1] <= 0.05
    assert [*series(run, metrics.VAL_SUBSET_LOSS)][-1] == 100
    assert not series(run, metrics.VAL_LOSS)


def test_a_resumed_run_leaves_out_what_was_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, lambda step: 2.0, 0.2)
    run = fit(tmp_path, "kept", *BUDGETED, "--checkpoint.milestones", "50", steps=100)
    before, decided = series(run, metrics.VAL_SUBSET_LOSS), of_kind(run.events(), Decided)
    for info in run.checkpoints():
        if info.step > 50:
            info.path.unlink()
    monkeypatch.undo()
    Clock(monkeypatch, lambda step: 20.0, 0.0)  # there would be room for all looks now
    assert main(["fit", "--resume", "kept", "--run.root", str(tmp_path / "runs")]) == 0
    assert [*series(run, metrics.VAL_SUBSET_LOSS)] == [*before]
    assert of_kind(run.events(), Decided) == decided
