"""The gradient noise scale, where the truth is known; and that a real fit's numbers are those of its gradients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import lab
from lab.__main__ import main
from lab.callbacks.gradient_noise import solve
from lab.data.datamodule import LabDataModule
from lab.runs import open_run
from tests.tiny import tiny_args, write_corpus


def test_both_unknowns_are_recovered_from_noisy_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    true = torch.full((50,), 0.3)  # |G|² = 4.5
    spread = 2.0  # of one token's gradient, in each of 50 dimensions: S = 200
    small, accumulation, noises, signals = 8, 4, [], []
    for _ in range(2000):
        noise = spread * torch.randn(accumulation, 50, generator=generator) / small**0.5
        micro = true + noise
        squared_small = float((micro**2).sum(1).mean())
        squared_big = float((micro.mean(0) ** 2).sum())
        noise_scale, signal = solve(squared_small, squared_big, small, small * accumulation)
        noises.append(noise_scale)
        signals.append(signal)
    assert sum(noises) / len(noises) == pytest.approx(50 * spread**2, rel=0.03)
    assert sum(signals) / len(signals) == pytest.approx(4.5, rel=0.05)


def test_a_fit_logs_what_its_gradients_say(tmp_path: Path) -> None:
    args = tiny_args(
        tmp_path, "--data.tokens_per_step", "192", "--gradient_noise.every", "1", "--trainer.precision", "32", steps=2
    )  # fmt: skip
    assert main(["fit", *args]) == 0
    run = open_run(tmp_path / "runs" / "tiny")
    model = lab.load(str(run.path), step=0).model
    corpus = write_corpus(tmp_path / "again.txt")
    data = LabDataModule(
        corpus="text", path=str(corpus), tokenizer="char", batch_size=4, tokens_per_step=192, context_length=16
    )
    data.prepare_data()
    tokens, targets = data.step_batch(0)
    squares, total = [], [torch.zeros_like(p) for p in model.parameters()]
    for x, y in zip(tokens, targets, strict=True):
        gradients = torch.autograd.grad(model.loss(x, y), list(model.parameters()))
        squares.append(sum(float((g**2).sum()) for g in gradients))
        total = [t + g / len(tokens) for t, g in zip(total, gradients, strict=True)]
    big = sum(float((g**2).sum()) for g in total)
    noise, signal = solve(sum(squares) / len(squares), big, 64, 192)
    row = next(row for row in run.metrics().rows if row["step"] == 1)
    assert row["stats/gradient_noise"] == pytest.approx(noise, rel=1e-3)
    assert row["stats/gradient_signal"] == pytest.approx(signal, rel=1e-3)


def test_without_accumulation_there_is_nothing_to_compare(tmp_path: Path) -> None:
    assert main(["fit", *tiny_args(tmp_path, "--gradient_noise.every", "1", steps=2)]) == 0
    run = open_run(tmp_path / "runs" / "tiny")
    assert not [name for name in run.metrics().names() if "gradient_" in name or "critical" in name]
    assert not [event for event in run.events() if event.kind == "instrument_failed"]
