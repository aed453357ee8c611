"""The training recipe in real fits: a loss that is not finite, and a step cut into parts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lab.__main__ import main
from lab.runs import open_run
from tests.tiny import losses, tiny_args


def fit(tmp_path: Path, name: str, *more: str, code: int = 0) -> Path:
    assert main(["fit", *tiny_args(tmp_path, *more, name=name)]) == code
    return tmp_path / "runs" / name


def test_a_loss_that_is_not_finite_stops_before_the_update(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rate that throws the weights to infinity: the run stops, says where, and its checkpoint is from before."""
    wild = ("--model.optimizer.lr", "1e38", "--model.optimizer.clip", "0", "--model.schedule.warmup_steps", "0")
    run = fit(tmp_path, "wild", *wild, "--checkpoint.every", "1", code=1)
    status = open_run(run).status()
    assert status.state == "failed"
    assert status.step is not None
    assert 0 < status.step < 12
    assert f"(batch {status.step})" in (status.message or "")
    said = " ".join(capsys.readouterr().out.split())
    assert "stopped before the update" in said
    assert f"python -m lab batch RUN {status.step}" in said
    assert all(json.loads(line).get("train/loss", 0) is not None for line in (run / "metrics.jsonl").open())
    newest = open_run(run).checkpoints()[-1]
    assert newest.step == status.step
    weights = torch.load(newest.path, weights_only=True)["state_dict"]
    assert sum(weight.isnan().sum() for weight in weights.values()) == 0


def test_how_a_step_is_cut_into_micro_batches_changes_nothing(tmp_path: Path) -> None:
    whole = losses(fit(tmp_path, "whole", "--data.batch_size", "8", "--trainer.precision", "32-true"))
    parts = fit(
        tmp_path, "parts", "--data.batch_size", "2", "--data.tokens_per_step", "128", "--trainer.precision", "32-true"
    )
    cut = losses(parts)
    assert whole.keys() == cut.keys()
    assert [float.fromhex(x) for x in cut.values()] == pytest.approx(
        [float.fromhex(x) for x in whole.values()], abs=2e-5
    )
