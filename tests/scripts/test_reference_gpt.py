"""The reference computes what the lab computes, so that their speeds compare."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lab.model import GPT
from lab.training.optimizers import build_optimizer, grad_norm_and_clip
from lab.training.schedules import ScheduleConfig, lr_factor
from scripts import reference_gpt as reference
from scripts.benchmarks.workloads import ADAMW, WORKLOADS, copy_weights, reference_name, reference_shape
from tests.patience import PATIENCE

CONFIG = WORKLOADS["tiny"].config
ROOT = Path(__file__).parents[2]


def both(seed: int = 0) -> tuple[GPT, reference.ReferenceGPT]:
    torch.manual_seed(seed)
    ours = GPT(CONFIG)
    theirs = reference.ReferenceGPT(reference_shape(CONFIG))
    copy_weights(ours, theirs)
    return ours, theirs


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randint(0, 65, (2, 4, 16), generator=torch.Generator().manual_seed(seed)).unbind()


def test_logits_and_losses_agree() -> None:
    ours, theirs = both()
    tokens, targets = batch(1)
    logits, loss = theirs(tokens, targets)
    torch.testing.assert_close(ours(tokens), logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.loss(tokens, targets), loss, atol=1e-5, rtol=0)


def test_training_steps_agree() -> None:
    ours, theirs = both()
    optimizer, their_optimizer = build_optimizer(ours, ADAMW), reference.make_optimizer(theirs)
    for step in range(3):
        tokens, targets = batch(step)
        loss = ours.loss(tokens, targets)
        loss.backward()
        grad_norm_and_clip(ours.parameters(), ADAMW.clip)
        optimizer.step()
        optimizer.zero_grad()
        their_loss = reference.train_step(theirs, their_optimizer, tokens, targets)
        assert loss.item() == pytest.approx(their_loss, abs=1e-5)
    weights = dict(theirs.named_parameters())
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight, weights[reference_name(name)], atol=1e-5, rtol=0)


def test_schedules_agree() -> None:
    config = ScheduleConfig(kind="cosine", warmup_steps=100, final_lr_fraction=0.1)
    for step in (0, 50, 99, 100, 1000, 1999):
        assert reference.lr_at(step, 2000) == pytest.approx(1e-3 * lr_factor(step, 2000, config))


@torch.no_grad()
def test_the_full_loss_counts_every_token_but_the_first_once() -> None:
    ours, theirs = both()
    data = np.random.default_rng(0).integers(0, 65, 16 * 5 + 8).astype(np.uint16)
    ids = torch.from_numpy(data.astype(np.int64))
    nats = sum(
        float(ours.loss(ids[None, start : start + 16][:, : len(ids) - 1 - start], part[None], "sum"))
        for start in range(0, len(ids) - 1, 16)
        if len(part := ids[start + 1 : start + 17])
    )
    assert reference.full_loss(theirs, data, 16, 4) == pytest.approx(nats / (len(data) - 1), abs=1e-5)


def test_it_trains_as_a_command(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("abcdefgh" * 500)
    command = [sys.executable, str(ROOT / "scripts/reference_gpt.py"), "--text", str(text), "--threads", "1"]
    done = subprocess.run(
        [*command, "--steps", "20", "--evaluations", "2"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result["losses"]) == {"0", "10", "20"}
    assert result["val_loss"] < result["losses"]["0"]
    assert 0 < result["training_seconds"] < result["seconds"]
