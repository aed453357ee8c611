"""Muon against PyTorch's own Muon and AdamW."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lab.training.muon import Muon, Scale, orthogonalize

SHAPES = [(24, 8), (8, 24), (16, 16), (8, 24), (16, 16)]
MUON: dict[str, Any] = {
    "kind": "muon",
    "lr": 0.02,
    "weight_decay": 0.1,
    "momentum": 0.95,
    "nesterov": True,
    "scale": "original",
    "newton_schulz_steps": 5,
}
ADAMW: dict[str, Any] = {
    "kind": "adamw",
    "lr": 1e-2,
    "betas": (0.9, 0.95),
    "eps": 1e-8,
    "weight_decay": 0.1,
    "fused": False,
}


def parameters(shapes: list[tuple[int, ...]], seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def descend(optimizer: torch.optim.Optimizer, weights: list[nn.Parameter], steps: int, start: int = 0) -> None:
    """Steps on gradients that depend on the step and on the weights."""
    for step in range(start, start + steps):
        generator = torch.Generator().manual_seed(step)
        for weight in weights:
            weight.grad = 0.1 * weight.detach() + torch.randn(weight.shape, generator=generator)
        optimizer.step()


@pytest.mark.parametrize("fused", [False, True])
def test_adamw_groups_equal_pytorchs_adamw_bit_for_bit(fused: bool) -> None:
    shapes: list[tuple[int, ...]] = [(30, 7), (11,), (5, 4)]
    ours, theirs = parameters(shapes), parameters(shapes)
    settings = {name: value for name, value in ADAMW.items() if name not in ("kind", "fused")}
    descend(Muon([{"params": ours, **ADAMW, "fused": fused}]), ours, 6)
    descend(torch.optim.AdamW(theirs, **settings, fused=fused), theirs, 6)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("scale", ["original", "match_rms_adamw"])
@pytest.mark.parametrize("nesterov", [False, True])
def test_muon_groups_agree_with_pytorchs_muon(scale: Scale, nesterov: bool) -> None:
    ours, theirs, before = parameters(SHAPES), parameters(SHAPES), parameters(SHAPES)
    group = {**MUON, "params": ours, "scale": scale, "nesterov": nesterov}
    descend(Muon([group], newton_schulz_dtype=torch.bfloat16), ours, 5)
    peer = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, momentum=0.95, nesterov=nesterov, adjust_lr_fn=scale)
    descend(peer, theirs, 5)
    for a, b, start in zip(ours, theirs, before, strict=True):
        # Both iterate in bf16, which keeps three digits, and round at different places.
        assert (a - b).norm() < 0.02 * (b - start).norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(16, 16), (16, 64), (32, 128)])
def test_singular_values_come_near_one(shape: tuple[int, int], dtype: torch.dtype) -> None:
    matrices = (
        torch.randn(5, *shape, generator=torch.Generator().manual_seed(1)) * torch.logspace(-3, 3, 5)[:, None, None]
    )
    values = torch.linalg.svdvals(orthogonalize(matrices, dtype=dtype).float())
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    assert values.max() < 1.3
    assert values.quantile(0.1) > 0.6
    # Singular vectors stay: the result is close to the nearest orthogonal matrix.
    alignment = (orthogonalize(matrices, dtype=dtype).float() * (u @ v)).sum((1, 2)) / shape[0]
    assert alignment.min() > 0.8


def test_a_stack_gives_what_one_by_one_gives() -> None:
    together, alone = parameters(SHAPES), parameters(SHAPES)
    descend(Muon([{**MUON, "params": together}]), together, 3)
    descend(Muon([{**MUON, "params": [weight]} for weight in alone]), alone, 3)
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_packed_matrices_are_orthogonalised_each_by_itself() -> None:
    packed = parameters([(24, 16)])
    separate = [nn.Parameter(part.clone()) for part in packed[0].detach().split([16, 4, 4])]
    gradient = torch.randn(24, 16, generator=torch.Generator().manual_seed(3))
    packed[0].grad = gradient
    for weight, part in zip(separate, gradient.split([16, 4, 4]), strict=True):
        weight.grad = part.clone()
    Muon([{**MUON, "params": packed, "splits": [(16, 4, 4)]}]).step()
    Muon([{**MUON, "params": separate}]).step()
    torch.testing.assert_close(packed[0].detach(), torch.cat([w.detach() for w in separate]), rtol=1e-4, atol=1e-5)


def test_state_loads_as_data_only_and_continues_bit_for_bit() -> None:
    def make() -> tuple[list[nn.Parameter], Muon]:
        weights = parameters([(16, 8), (8, 8), (9,)])
        return weights, Muon(
            [{**MUON, "params": weights[:2], "splits": [(8, 8), (8,)]}, {**ADAMW, "params": weights[2:]}]
        )

    weights, optimizer = make()
    descend(optimizer, weights, 3)
    file = io.BytesIO()
    torch.save({"weights": [w.detach().clone() for w in weights], "optimizer": optimizer.state_dict()}, file)
    descend(optimizer, weights, 3, start=3)

    file.seek(0)
    stored = torch.load(file, weights_only=True)
    resumed, other = make()
    for weight, value in zip(resumed, stored["weights"], strict=True):
        weight.data.copy_(value)
    other.load_state_dict(stored["optimizer"])
    descend(other, resumed, 3, start=3)
    assert all(torch.equal(a, b) for a, b in zip(weights, resumed, strict=True))


def test_the_closure_computes_the_gradients_of_the_step() -> None:
    weights = parameters([(8, 8), (4,)])
    optimizer = Muon([{**MUON, "params": weights[:1]}, {**ADAMW, "params": weights[1:]}])

    def closure() -> Tensor:
        loss = sum((w**2).sum() for w in weights)
        assert isinstance(loss, Tensor)
        loss.backward()
        return loss

    before = float(closure().detach())
    optimizer.zero_grad()
    assert float(optimizer.step(closure).detach()) == before
    assert sum(float((w.detach() ** 2).sum()) for w in weights) < before


def test_parameters_without_gradient_stay() -> None:
    weights = parameters([(8, 8), (8, 8), (4,), (4,)])
    optimizer = Muon([{**MUON, "params": weights[:2]}, {**ADAMW, "params": weights[2:]}])
    before = [w.detach().clone() for w in weights]
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(weights, before, strict=True))
    weights[1].grad, weights[3].grad = torch.ones(8, 8), torch.ones(4)
    optimizer.step()
    assert [torch.equal(a, b) for a, b in zip(weights, before, strict=True)] == [True, False, True, False]


def test_a_gradient_of_zeros_is_no_division_by_zero() -> None:
    weights = parameters([(8, 8)])
    weights[0].grad = torch.zeros(8, 8)
    Muon([{**MUON, "params": weights}]).step()
    assert weights[0].isfinite().all()


def test_what_is_no_matrix_and_splits_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(9,\): put it into an adamw group"):
        Muon([{**MUON, "params": parameters([(9,)])}])
    with pytest.raises(ValueError, match=r"\(4, 5\) rows do not add up to the 8 rows"):
        Muon([{**MUON, "params": parameters([(8, 8)]), "splits": [(4, 5)]}])
