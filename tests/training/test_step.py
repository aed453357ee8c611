"""One optimizer step against the same step written out, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from lab.errors import NonFiniteLoss
from lab.model import GPT, GPTConfig
from lab.training.optimizers import OptimizerConfig, build_optimizer
from lab.training.step import refuse_non_finite, seed_device, step_seed, take_step

CONFIG = GPTConfig(n_layers=1, n_heads=2, d_model=16, context_length=8, vocab_size=11, dropout=0.25)
CLIP, RATE, SEED = 0.5, 0.7, 4


def fresh() -> tuple[GPT, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = GPT(CONFIG)
    return model, build_optimizer(model, OptimizerConfig(lr=0.01))


def batch_of(n: int) -> tuple[Tensor, Tensor]:
    """Four sequences as `n` micro-batches, the first of them partly padding."""
    tokens = torch.randint(CONFIG.vocab_size, (4, 8), generator=torch.Generator().manual_seed(1))
    targets = tokens.roll(-1, dims=1)
    targets[0, 3:] = -1
    return tokens.view(n, -1, 8), targets.view(n, -1, 8)


def step(model: GPT, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, Tensor], **more: Any) -> dict[str, float]:
    def update(clip_gradients: Callable[[], None]) -> None:
        clip_gradients()
        optimizer.step()

    ways = {"backward": Tensor.backward, "update": update}
    return take_step(model, optimizer, batch, seed=SEED, lr_factor=RATE, clip=CLIP, **{**ways, **more})


def test_it_does_what_the_textbook_does() -> None:
    model, optimizer = fresh()
    measured = step(model, optimizer, batch_of(1))
    other, plain = fresh()
    (tokens,), (targets,) = batch_of(1)
    torch.manual_seed(SEED)
    for group in plain.param_groups:
        group["lr"] = 0.01 * RATE
    logits = other(tokens)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(other.parameters(), CLIP)
    plain.step()
    assert measured == pytest.approx({"train/loss": loss.item(), "train/grad_norm": norm.item(), "train/lr": 0.007})
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert all(p.grad is None for p in model.parameters())


def test_each_micro_batch_has_its_context_and_is_told_of() -> None:
    model, optimizer = fresh()
    lasts: list[bool] = []
    done: list[int] = []
    whole = step(*fresh(), batch_of(1))
    cut = step(
        model.eval(),
        optimizer,
        batch_of(2),
        context=lambda last: lasts.append(last) or nullcontext(),
        after_micro_batch=done.append,
    )
    assert (lasts, done) == ([False, True], [0, 1])
    model, optimizer = fresh()
    assert cut == pytest.approx(step(model.eval(), optimizer, batch_of(1)), rel=1e-5)
    assert whole != cut  # with dropout


@pytest.mark.parametrize("name", ["train/loss", "train/grad_norm"])
def test_what_a_reader_refuses_stops_before_the_update(name: str) -> None:
    model, optimizer = fresh()
    before = [p.detach().clone() for p in model.parameters()]

    def read(what: str, value: Tensor) -> float:
        return refuse_non_finite(what, value * float("nan") if what == name else value, 3)

    with pytest.raises(NonFiniteLoss, match=rf"{name} is nan at step 3 \(batch 3\): stopped before the update"):
        step(model, optimizer, batch_of(1), read=read)
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


def test_a_seed_gives_the_random_state_that_torch_gives() -> None:
    seed_device(torch.device("cpu"), 5)
    ours = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(ours, torch.rand(3))


def test_seeds_of_neighbouring_steps_have_nothing_in_common() -> None:
    seeds = [step_seed(1337, step, rank) for step in range(1000) for rank in range(3)]
    assert len(set(seeds)) == len(seeds)
    bits = [bin(a ^ b).count("1") for a, b in pairwise(seeds)]
    assert 28 < sum(bits) / len(bits) < 35  # of 63, half are expected to differ
    assert all(0 <= seed < 2**63 for seed in seeds)
