"""Speed and memory: what is counted, and whose peak is known."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab.__main__ import main
from lab.callbacks import throughput
from lab.data.datamodule import LabDataModule
from lab.model import GPTConfig, flops_per_token
from lab.runs import open_run
from tests.tiny import tiny_args


def test_waiting_for_data_is_told_from_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = LabDataModule.step_batch

    def slow(self: LabDataModule, step: int) -> object:
        time.sleep(0.05)
        return fetch(self, step)

    monkeypatch.setattr(LabDataModule, "step_batch", slow)
    assert main(["fit", *tiny_args(tmp_path, "--throughput.every", "2", steps=6)]) == 0
    metrics = open_run(tmp_path / "runs" / "tiny").metrics()
    steps, shares = metrics.series("perf/data_share")
    assert steps == [2, 4, 6]
    _, seconds = metrics.series("perf/step_seconds")
    for share, step_seconds in zip(shares[1:], seconds[1:], strict=True):
        # 50 ms of waiting beside a step of some ms
        assert share == pytest.approx(0.05 / (0.05 + step_seconds), rel=0.35)
    assert metrics.latest("perf/memory_bytes") > 1e8


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
