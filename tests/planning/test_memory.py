"""The memory of a step, counted on fake tensors, against what real tensors of a real step take."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from lab.model import GPT, GPTConfig, count_parameters
from lab.planning.memory import Step, _Count, _simulated, optimizer_bytes, step_memory
from lab.training.levers import choose_levers
from lab.training.optimizers import OptimizerConfig, build_optimizer

SHAPES = {
    "plain": GPTConfig(n_layers=2, n_heads=2, d_model=32, context_length=32, vocab_size=64),
    "modern": GPTConfig(
        n_layers=3,
        n_heads=4,
        n_kv_heads=2,
        d_model=32,
        context_length=32,
        vocab_size=100,
        positions="rope",
        norm="rmsnorm",
        mlp="swiglu",
        qk_norm=True,
        bias=False,
        dropout=0.1,
        tie_embeddings=False,
        logit_softcap=15.0,
    ),
    "chunked": GPTConfig(n_layers=1, n_heads=2, d_model=32, context_length=16, vocab_size=9000),
}


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("shape", SHAPES)
def test_fake_tensors_take_what_real_ones_take(shape: str, precision: str) -> None:
    config = SHAPES[shape]
    levers = choose_levers(config=config, device="cpu", precision=precision)
    step = Step(4, config.context_length, 1, "adamw", precision, levers.attention, levers.loss, levers.dropout)
    found = step_memory(config, step)
    with _Count() as count:
        model = GPT(config).train()
        levers.apply(model)
        tokens = torch.zeros(4, config.context_length, dtype=torch.int64)
        count.restart()
        with levers.autocast():
            loss = model.loss(tokens, tokens, reduction="sum") / 1
        loss.backward()
    assert found.peak == count.peak + found.optimizer
    assert found.weights == found.gradients == sum(p.numel() * p.element_size() for p in model.parameters())


@pytest.mark.parametrize("name", ["adamw", "muon"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_optimizers_averages_are_counted(shape: str, name: str) -> None:
    model = GPT(SHAPES[shape])
    optimizer = build_optimizer(model, OptimizerConfig(name=name))  # type: ignore[arg-type]
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    tensors = [t for state in optimizer.state.values() for t in state.values() if isinstance(t, torch.Tensor)]
    assert optimizer_bytes(SHAPES[shape], name) == sum(t.numel() * t.element_size() for t in tensors if t.ndim)


def test_depth_is_continued_exactly() -> None:
    config = GPTConfig(n_layers=7, n_heads=2, d_model=32, context_length=32, vocab_size=64)
    step = Step(4, 32, precision="bf16-mixed", attention="explicit")
    for name, value in asdict(_simulated(config, step)).items():
        assert getattr(step_memory(config, step), name) == pytest.approx(value, rel=0.001), name


def test_accumulation_keeps_gradients_through_the_next_forward_pass() -> None:
    config = SHAPES["plain"]
    one, many = (step_memory(config, Step(4, 32, n)) for n in (1, 8))
    assert 0 < many.peak - one.peak <= 4 * count_parameters(config)["total"]
    assert many.activations == one.activations


def test_a_forecast_of_memory_leaves_no_trace() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    _simulated.cache_clear()
    step_memory(SHAPES["plain"], Step(2, 16))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_default_dtype() == torch.float32
    assert torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is None
    assert FakeTensorMode is not None


def test_half_the_precision_takes_half_the_weights() -> None:
    whole, half = (step_memory(SHAPES["plain"], Step(2, 16, precision=p)) for p in ("32-true", "bf16-true"))
    assert half.weights * 2 == whole.weights
    assert half.optimizer * 2 == whole.optimizer
