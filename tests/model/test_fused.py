"""Formulas with their own backward pass: right derivatives, and the values of the plain formulas."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.model import GPT, GPTConfig, fused
from lab.model.config import NORM_EPSILON
from lab.model.fused import rms_norm, squared_relu, turned_heads
from lab.model.layers import Rotary, rotate

SIZES = (4, 2, 2)


def leaf(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype).requires_grad_()


def tables(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    cos, sin = Rotary(GPTConfig(d_model=24, n_heads=4, positions="rope", context_length=8))(2, 5)
    return cos.to(dtype), sin.to(dtype)


def plain_heads(
    qkv: Tensor, sizes: tuple[int, int, int], gains: tuple[Tensor, Tensor] | None, rotary: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = qkv.split(sizes, dim=2)
    if gains is not None:
        q, k = (F.rms_norm(x, gain.shape, gain, NORM_EPSILON) for x, gain in zip((q, k), gains, strict=True))
    if rotary is not None:
        q, k = rotate(q, *rotary), rotate(k, *rotary)
    return q, k, v


def test_derivatives_are_those_of_finite_differences() -> None:
    assert torch.autograd.gradcheck(rms_norm, (leaf(3, 5, 6), leaf(6, seed=1)))
    assert torch.autograd.gradcheck(squared_relu, (leaf(3, 5, 6),))


@pytest.mark.parametrize(("qk_norm", "rope"), [(True, True), (True, False), (False, True)])
def test_derivatives_of_heads_are_those_of_finite_differences(qk_norm: bool, rope: bool) -> None:
    rotary = tables() if rope else None

    def heads(qkv: Tensor, q_gain: Tensor, k_gain: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return turned_heads(qkv, SIZES, (q_gain, k_gain) if qk_norm else None, rotary)

    assert torch.autograd.gradcheck(heads, (leaf(2, 5, sum(SIZES), 6), leaf(6, seed=1), leaf(6, seed=2)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_are_those_of_the_plain_formulas(dtype: torch.dtype) -> None:
    x, gain, other = leaf(3, 5, 6, dtype=dtype), leaf(6, dtype=dtype, seed=1), leaf(6, dtype=dtype, seed=2)
    qkv = leaf(2, 5, sum(SIZES), 6, dtype=dtype)
    torch.testing.assert_close(rms_norm(x, gain), F.rms_norm(x, gain.shape, gain, NORM_EPSILON))
    torch.testing.assert_close(squared_relu(x), F.relu(x).square())
    for gains, rotary in itertools.product((None, (gain, other)), (None, tables(dtype))):
        if gains or rotary:
            ours, plain = (heads(qkv, SIZES, gains, rotary) for heads in (turned_heads, plain_heads))
            torch.testing.assert_close(ours, plain)


def test_a_vector_of_zeros_is_no_division_by_zero() -> None:
    x = torch.zeros(2, 6, requires_grad=True)
    y = rms_norm(x, torch.ones(6))
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(y, torch.zeros(2, 6))
    assert x.grad.isfinite().all()


def gradients(config: GPTConfig, within: Callable[[], torch.autocast]) -> dict[str, Tensor]:
    torch.manual_seed(0)
    model = GPT(config)
    tokens = torch.randint(0, config.vocab_size, (2, 9))
    with within():
        model.loss(tokens[:, :-1], tokens[:, 1:]).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("autocast", [False, True])
def test_a_model_has_the_gradients_of_the_plain_formulas(monkeypatch: pytest.MonkeyPatch, autocast: bool) -> None:
    config = GPTConfig(
        n_layers=2, n_heads=4, n_kv_heads=2, d_model=32, context_length=8, vocab_size=50, bias=False,
        positions="rope", norm="rmsnorm", mlp="relu2", qk_norm=True,
    )  # fmt: skip

    def within() -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=autocast)

    fast = gradients(config, within)
    monkeypatch.setattr(fused, "is_faster", lambda x: False)
    monkeypatch.setattr("lab.model.attention.is_faster", lambda x: False)
    plain = gradients(config, within)
    assert fast.keys() == plain.keys()
    for name, gradient in fast.items():
        tolerance = 2e-2 if autocast else 1e-5
        torch.testing.assert_close(
            gradient, plain[name], rtol=tolerance, atol=tolerance * float(plain[name].abs().max()), msg=name
        )
