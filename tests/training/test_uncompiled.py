"""Optimizers without PyTorch's mark for its compiler update as PyTorch's own, and don't import the compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lab.training.optimizers import AdamW

ROOT = Path(__file__).parents[2]


def weights(kind: type[torch.optim.Optimizer], steps: int = 5, **settings: object) -> torch.Tensor:
    """A weight after a few steps, and after one whose state went through a checkpoint."""
    p = torch.nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4))
    optimizer = kind([p], lr=0.1, **settings)  # type: ignore[call-arg]
    for n in range(steps):
        optimizer.zero_grad()
        (p * torch.arange(12).reshape(3, 4)).sin().sum().backward()
        optimizer.step()
        if n == 2:
            state, optimizer = optimizer.state_dict(), kind([p], lr=0.5, **settings)  # type: ignore[call-arg]
            optimizer.load_state_dict(state)
    return p.detach()


@pytest.mark.parametrize("fused", [True, False])
def test_the_update_is_pytorchs_bit_for_bit(fused: bool) -> None:
    assert torch.equal(weights(AdamW, fused=fused), weights(torch.optim.AdamW, fused=fused))


def test_hooks_of_a_step_are_called_and_gradients_are_off() -> None:
    p = torch.nn.Parameter(torch.ones(2))
    optimizer, called = AdamW([p]), []
    optimizer.register_step_pre_hook(lambda *_: called.append("before"))
    optimizer.register_step_post_hook(lambda *_: called.append("after"))
    p.grad = torch.ones(2)
    optimizer.step()
    assert called == ["before", "after"]
    assert p.grad_fn is None
    assert torch.is_grad_enabled()


def test_a_closure_has_gradients() -> None:
    p = torch.nn.Parameter(torch.ones(2))
    optimizer = AdamW([p])

    def closure() -> torch.Tensor:
        loss = (p**2).sum()
        loss.backward()
        return loss

    assert float(optimizer.step(closure).detach()) == 2.0


def test_neither_kind_imports_the_compiler() -> None:
    code = (
        "import sys, torch; from lab.model import GPT, GPTConfig\n"
        "from lab.training.optimizers import OptimizerConfig, build_optimizer\n"
        "for name in ('adamw', 'muon'):\n"
        "    model = GPT(GPTConfig(n_layers=1, n_heads=1, d_model=8, context_length=8, vocab_size=9))\n"
        "    optimizer = build_optimizer(model, OptimizerConfig(name))\n"
        "    model(torch.zeros(1, 4, dtype=torch.int64)).sum().backward()\n"
        "    optimizer.step(); optimizer.zero_grad(); optimizer.load_state_dict(optimizer.state_dict())\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "False", done.stderr[-2000:]
