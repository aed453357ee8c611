"""The product of a single vector, both ways: the same numbers, the same threads afterwards."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.model import linear as linear_module
from lab.model.linear import Linear, linear, one_thread, pairs_are_faster

OUT, IN = 512, 256  # as many weights as it takes


@pytest.fixture(params=[True, False], ids=["given twice", "given once"])
def twice(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(linear_module, "pairs_are_faster", lambda: request.param)
    return bool(request.param)


def tensors(*shape: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(*shape, IN, generator=generator),
        torch.randn(OUT, IN, generator=generator),
        torch.randn(OUT, generator=generator),
    )


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (2, 3)])
@pytest.mark.parametrize("biased", [True, False])
@torch.no_grad()
def test_the_values_are_those_in_fp64(twice: bool, shape: tuple[int, ...], biased: bool) -> None:
    x, weight, bias = tensors(*shape)
    expected = F.linear(x.double(), weight.double(), bias.double() if biased else None)
    found = linear(x, weight, bias if biased else None)
    assert found.shape == (*shape, OUT)
    assert found.is_contiguous()
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-4)


def test_what_a_gradient_may_flow_through_is_the_plain_product(twice: bool) -> None:
    x, weight, bias = tensors(1)
    layer = Linear(IN, OUT)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    y = layer(x)
    assert torch.equal(y, F.linear(x, weight, bias))
    y.sum().backward()
    torch.testing.assert_close(layer.weight.grad, x.expand(OUT, IN))


@torch.no_grad()
def test_bf16_and_autocast_stay_what_they_are(twice: bool) -> None:
    x, weight, _ = tensors(1)
    assert linear(x.bfloat16(), weight.bfloat16()).dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, weight).dtype == torch.bfloat16


def test_the_trial_ends_and_threads_are_as_before() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert isinstance(pairs_are_faster(), bool)
    assert torch.get_num_threads() == before
