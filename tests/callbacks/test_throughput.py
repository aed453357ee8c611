"""Speed and memory: what is counted, and whose peak is known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lab
from lab.__main__ import main
from lab.callbacks import throughput
from lab.callbacks.samples import Samples
from lab.data.datamodule import LabDataModule
from lab.model import GPTConfig, flops_per_token
from lab.report.run_record import read_record
from lab.report.sections.hardware import time_parts
from lab.runs import Run, open_run
from lab.training import logbook
from lab.training.looking import LookTimes
from lab.training.module import PretrainingModule
from tests.tiny import tiny_args

STEP, WAIT, SAMPLE, WINDOW = 2.0, 5.0, 3.0, 0.25  # seconds by the made clock


@pytest.fixture
def slow_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of six steps on a clock that steps, batches, samples and validation windows move, and nothing else."""
    now, counted = [0.0], {"samples": 0, "windows": 0}
    monkeypatch.setattr(logbook, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(lab.training.callback, "LookTimes", lambda: LookTimes(lambda: now[0]))
    monkeypatch.setattr(throughput, "peak_flops", lambda device, precision: 1e9)
    fetch, learn = LabDataModule.step_batch, PretrainingModule.learn
    validate, write = PretrainingModule.validation_step, Samples.look

    def slow_fetch(data: LabDataModule, step: int) -> Any:
        now[0] += WAIT
        return fetch(data, step)

    def slow_learn(module: Any, *args: Any) -> None:
        now[0] += STEP
        learn(module, *args)

    def slow_validation(module: Any, batch: Any, batch_idx: int) -> None:
        now[0] += WINDOW * len(batch[0])
        counted["windows"] += len(batch[0])
        validate(module, batch, batch_idx)

    def slow_sample(samples: Samples, fit: Any) -> None:
        now[0] += SAMPLE
        counted["samples"] += 1
        write(samples, fit)

    monkeypatch.setattr(LabDataModule, "step_batch", slow_fetch)
    monkeypatch.setattr(PretrainingModule, "learn", slow_learn)
    monkeypatch.setattr(PretrainingModule, "validation_step", slow_validation)
    monkeypatch.setattr(Samples, "look", slow_sample)
    every = ("--throughput.every", "2", "--validation.every", "3", "--samples.every", "3", "--samples.tokens", "2")
    assert main(["fit", *tiny_args(tmp_path, *every, steps=6)]) == 0
    assert counted["samples"]
    assert counted["windows"]
    run = open_run(tmp_path / "runs" / "tiny")
    run.counted = counted  # type: ignore[attr-defined]
    return run


def test_waiting_for_data_belongs_to_the_time_of_a_step(slow_source: Run) -> None:
    metrics = slow_source.metrics()
    steps, shares = metrics.series("perf/data_share")
    assert steps == [2, 4, 6]
    assert shares == pytest.approx([WAIT / (WAIT + STEP)] * 3)
    assert metrics.series("perf/step_seconds")[1] == pytest.approx([WAIT + STEP] * 3)
    assert set(metrics.series("perf/tokens_per_second")[1]) == {64 / (WAIT + STEP)}
    config = GPTConfig(n_layers=2, n_heads=2, d_model=32, context_length=16, vocab_size=20)
    assert metrics.latest("perf/mfu") == pytest.approx(flops_per_token(config, 16) * 64 / (WAIT + STEP) / 1e9)


def test_the_parts_of_a_runs_time_add_up_to_its_wall_clock(slow_source: Run) -> None:
    record, counted = read_record(slow_source), slow_source.counted  # type: ignore[attr-defined]
    parts, whole = time_parts(record), record.seconds
    assert whole is not None
    assert sum(parts.values()) == pytest.approx(whole, rel=0.01)
    assert parts["computing"] == pytest.approx(6 * STEP)
    assert parts["waiting"] == pytest.approx(6 * WAIT, abs=WAIT)  # a batch may be asked for before the clock begins
    assert parts["validation"] == pytest.approx(counted["windows"] * WINDOW)
    assert parts["looks"] == pytest.approx(counted["samples"] * SAMPLE)
    assert abs(parts["rest"]) <= 0.01 * whole


def test_a_run_shorter_than_the_cadence_tells_its_speed_and_memory_at_its_end(tmp_path: Path) -> None:
    assert main(["fit", *tiny_args(tmp_path, "--throughput.every", "100", steps=5)]) == 0
    metrics = open_run(tmp_path / "runs" / "tiny").metrics()
    assert metrics.series("perf/step_seconds")[0] == [5]
    assert metrics.latest("perf/memory_bytes") > 1e8


def test_mfu_is_the_share_of_a_known_peak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "peak_flops", lambda device, precision: 1e12)
    assert main(["fit", *tiny_args(tmp_path, "--throughput.every", "2", "--data.context_length", "8", steps=4)]) == 0
    metrics = open_run(tmp_path / "runs" / "tiny").metrics()
    row = next(row for row in metrics.rows if row["step"] == 4)
    config = GPTConfig(n_layers=2, n_heads=2, d_model=32, context_length=16, vocab_size=20)
    assert row["perf/mfu"] == pytest.approx(flops_per_token(config, 8) * 32 / row["perf/step_seconds"] / 1e12)
