"""Muon for the hidden matrices and AdamW for everything else, as one optimizer.

A hidden matrix's gradient (with momentum) is usually dominated by a few directions. Muon replaces it by the
nearest matrix whose singular values are all about 1, so that every direction learns at the same pace (Jordan
et al. 2024, "Muon: An optimizer for hidden layers in neural networks"). Embeddings, the head, gains and
biases are no maps from one activation to another; they stay with AdamW.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from lab.training.uncompiled import uncompiled

Scale = Literal["original", "match_rms_adamw"]

# The quintic a·x + b·x³ + c·x⁵, applied five times, sends every singular value between about 0.003 and 1 into
# 0.7 … 1.2. Its steep slope at 0 is bought with not converging to exactly 1, which training does not mind.
QUINTIC = (3.4445, -4.7750, 2.0315)
EPSILON = 1e-7


def orthogonalize(matrices: Tensor, steps: int = 5, dtype: torch.dtype = torch.float32) -> Tensor:
    """The matrices `[n, rows, columns]` with singular values pushed to about 1, by Newton–Schulz iteration.

    For U·S·Vᵀ it returns nearly U·Vᵀ, without a decomposition: 15 matrix products, for all n at once,
    computed in `dtype` (bf16 is enough; Jordan et al. 2024). Tall matrices are better given transposed: the
    result is the transposed one, and the products are smaller.

    Every iteration multiplies x by a polynomial of x·xᵀ, and so does their product. For matrices twice as wide as tall
    or wider that product is formed first, from square matrices alone, and x is multiplied by it once: a little over
    half the work at four times. Not in bf16, where squared singular values below 1/256 drown in rounding.
    """
    a, b, c = QUINTIC
    x = matrices.to(dtype)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=EPSILON)
    if x.shape[2] >= 2 * x.shape[1] and dtype != torch.bfloat16:
        return _total_polynomial(x @ x.mT, steps) @ x
    for _ in range(steps):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x


def _total_polynomial(gram: Tensor, steps: int) -> Tensor:
    """What all `steps` iterations together multiply x by, given x·xᵀ, `[n, rows, rows]`."""
    a, b, c = QUINTIC
    total = gram  # replaced in the first iteration
    for step in range(steps):
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal(dim1=1, dim2=2).add_(a)
        total = polynomial @ total if step else polynomial
        if step < steps - 1:
            gram = polynomial @ gram @ polynomial  # x·xᵀ after this iteration
    return total


def update_scale(rows: int, columns: int, scale: Scale) -> float:
    """The factor on an orthogonal update of `[rows, columns]` with which one learning rate suits all shapes.

    original: max(1, rows/columns)^½, Jordan's, near the spectral condition of Yang et al. 2023: learning
    rates carry over between widths (0.02 is usual). match_rms_adamw: 0.2·max(rows, columns)^½, which gives
    the update the root-mean-square of a typical AdamW step: learning rates of AdamW carry over (Liu et al.
    2025, §2.2).
    """
    if scale == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1.0, rows / columns))


@uncompiled
class Muon(torch.optim.Optimizer):
    """One optimizer over parameter groups of two kinds.

    `kind: "muon"` groups (matrices only) take `lr, weight_decay, momentum, nesterov, scale,
    newton_schulz_steps` and `splits`: for each parameter the rows of the matrices packed in it, each
    orthogonalised by itself: queries, keys and values in one weight are three maps, not one. `kind: "adamw"`
    groups take `lr, betas, eps, weight_decay, fused` and compute what `torch.optim.AdamW` computes, by the
    same kernels.

    Matrices of one shape, transposed where they are taller than wide, are orthogonalised as one stack: small
    products are all overhead, in bf16 on one CPU thread 10 times faster than one by one at width 32,
    1.7 times at 128, no faster from 384 on. Newton–Schulz runs in `newton_schulz_dtype`, a matter of the
    device, not of the state: bf16 takes a third to a sixth of fp32's time on a CPU that has it natively.

    Decay is decoupled in both kinds: weights shrink by lr·weight_decay (Loshchilov & Hutter 2019).
    Raises ValueError where a muon group holds something else than matrices, or splits do not add up.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, newton_schulz_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(groups, {})
        self.newton_schulz_dtype = newton_schulz_dtype
        for group in self.param_groups:
            if group["kind"] == "muon":
                group.setdefault("splits", [(p.shape[0],) for p in group["params"]])
                _check_splits(group["params"], group["splits"])

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update from the gradients there are; parameters without one keep their values."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            (self._step_muon if group["kind"] == "muon" else self._step_adamw)(group)
        return loss

    def _step_muon(self, group: dict[str, Any]) -> None:
        moving = [(p, s) for p, s in zip(group["params"], group["splits"], strict=True) if p.grad is not None]
        if not moving:
            return
        parameters, splits = [p for p, _ in moving], [s for _, s in moving]
        gradients = [p.grad for p in parameters]
        for p in parameters:
            if "momentum_buffer" not in self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        momenta = [self.state[p]["momentum_buffer"] for p in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        directions = torch._foreach_lerp(gradients, momenta, group["momentum"]) if group["nesterov"] else momenta
        updates = self._orthogonalize(directions, splits, group)
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, updates, alpha=-group["lr"])

    def _orthogonalize(
        self, directions: Sequence[Tensor], splits: Sequence[Sequence[int]], group: dict[str, Any]
    ) -> list[Tensor]:
        """Scaled orthogonal updates in the shapes of `directions`, stacked by shape while computed."""
        updates = [torch.empty_like(direction) for direction in directions]
        stacks: dict[tuple[int, ...], list[tuple[Tensor, Tensor, float]]] = defaultdict(list)
        for direction, update, rows in zip(directions, updates, splits, strict=True):
            for source, target in zip(direction.split(list(rows)), update.split(list(rows)), strict=True):
                factor = update_scale(source.shape[0], source.shape[1], group["scale"])
                if source.shape[0] > source.shape[1]:
                    source, target = source.T, target.T
                stacks[tuple(source.shape)].append((source, target, factor))
        for pieces in stacks.values():
            stack = torch.stack([source for source, _, _ in pieces])
            result = orthogonalize(stack, group["newton_schulz_steps"], self.newton_schulz_dtype)
            for (_, target, factor), orthogonal in zip(pieces, result, strict=True):
                target.copy_(orthogonal).mul_(factor)
        return updates

    def _step_adamw(self, group: dict[str, Any]) -> None:
        parameters = [p for p in group["params"] if p.grad is not None]
        if not parameters:
            return
        for p in parameters:
            if not self.state[p]:
                # PyTorch's fused kernel counts steps on the device, the other on the host.
                on = p.device if group["fused"] else torch.device("cpu")
                self.state[p]["step"] = torch.zeros((), dtype=torch.float32, device=on)
                self.state[p]["exp_avg"] = torch.zeros_like(p)
                self.state[p]["exp_avg_sq"] = torch.zeros_like(p)
        states = [self.state[p] for p in parameters]
        beta1, beta2 = group["betas"]
        adamw(
            parameters,
            [p.grad for p in parameters],
            [s["exp_avg"] for s in states],
            [s["exp_avg_sq"] for s in states],
            [],
            [s["step"] for s in states],
            fused=group["fused"],
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def _check_splits(parameters: Sequence[Tensor], splits: Sequence[Sequence[int]]) -> None:
    problems = [
        f"Muon is for matrices, not for a parameter of shape {tuple(p.shape)}: put it into an adamw group"
        for p in parameters
        if p.ndim != 2
    ]
    problems += [
        f"splits of {tuple(rows)} rows do not add up to the {p.shape[0]} rows of the packed parameter"
        for p, rows in zip(parameters, splits, strict=True)
        if sum(rows) != p.shape[0]
    ]
    if problems:
        raise ValueError("\n".join(problems))
