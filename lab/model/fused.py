"""Formulas of the block with a backward pass of their own: the same values in fewer passes over memory.

Between two matrix products a step of a small model in fp32 reads and writes activations again and again: autograd
runs one kernel for every operation of a formula, forward and backward, and stores what lies between. Here the
derivative of a whole formula is written out instead. Each function has its plain formula beside it, which is what
runs on other devices, compiled, and in 16-bit types; both agree up to rounding (tests/model/test_fused.py).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from lab.model.config import NORM_EPSILON


def is_faster(x: Tensor) -> bool:
    """Whether the functions here are to be taken: eagerly on a CPU. Compiled code has few passes by itself."""
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64) and not torch.compiler.is_compiling()


# ---------------------------------------------------------------- squared ReLU


def squared_relu(x: Tensor) -> Tensor:
    """max(x, 0)² (So et al. 2021), any shape. Its derivative 2·max(x, 0) needs only what the forward pass computed."""
    if torch.compiler.is_compiling():
        return F.relu(x).square()
    y: Tensor = _SquaredReLU.apply(x)
    return y


class _SquaredReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = F.relu(x)
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return torch.addcmul(grad.new_zeros(()), grad, positive, value=2)


# ---------------------------------------------------------------- RMSNorm


def rms_norm(x: Tensor, gain: Tensor) -> Tensor:
    """x / √(mean(x²) + ε) · gain over the last dimension (Zhang and Sennrich 2019): `[..., width]` in and out."""
    if not is_faster(x):
        return F.rms_norm(x, gain.shape, gain.to(x.dtype), NORM_EPSILON)
    y: Tensor = _RMSNorm.apply(x, gain)
    return y


def inverse_rms(x: Tensor) -> Tensor:
    """1 / √(mean(x²) + ε) of each vector, `[..., 1]`."""
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(NORM_EPSILON).rsqrt_()


class _RMSNorm(torch.autograd.Function):
    """With r = 1/√(mean(x²) + ε): y = x·r·gain, and ∂L/∂x = r·(g·gain - x·r²·mean(g·gain·x)) for ∂L/∂y = g."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor) -> Tensor:
        r = inverse_rms(x)
        ctx.save_for_backward(x, gain, r)
        return (x * r).mul_(gain)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, gain, r = ctx.saved_tensors
        width = x.shape[-1]
        product = grad * x
        along, gain_grad = _row_and_column_sums(product.view(-1, width), gain, r.view(-1))
        along = along.view_as(r).mul_(r.pow(3)).div_(width)
        return torch.mul(grad, gain, out=product).mul_(r).addcmul_(x, along, value=-1), gain_grad


def _row_and_column_sums(product: Tensor, gain: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """Of `product` `[n, width]`: the sum of each row weighed by `gain`, of each column by `r`, as matrix products."""
    # The backward pass may run under autocast, which would round them to bf16.
    with torch.autocast(product.device.type, enabled=False):
        return torch.mv(product, gain), torch.mv(product.T, r)


# ---------------------------------------------------------------- queries and keys


def turned_heads(
    qkv: Tensor, sizes: tuple[int, int, int], gains: tuple[Tensor, Tensor] | None, rotary: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values ready for attention: QK-norm and rotation of what one projection computed.

    `qkv` `[batch, pos, head, d_head]` holds the heads of queries, keys and values, `sizes` says how many each; `gains`
    are those of QK-norm, `rotary` the tables of `rotate`; either may be None. Returns three `[batch, pos, head,
    d_head]`.

    The same as `rms_norm` of queries and keys with their gains, then `rotate`. Queries and keys pass as one tensor, and
    the gradient is written into one, where autograd would join those of three parts.
    """
    q_gain, k_gain = gains or (None, None)
    cos, sin = rotary or (None, None)
    q, k, v = _TurnedHeads.apply(qkv, sizes, q_gain, k_gain, cos, sin)
    return q, k, v


class _TurnedHeads(torch.autograd.Function):
    """y = R(x·r·gain) with r as in `_RMSNorm` and R the rotation, whose transpose turns the gradient back."""

    @staticmethod
    def forward(
        ctx: Any,
        qkv: Tensor,
        sizes: tuple[int, int, int],
        q_gain: Tensor | None,
        k_gain: Tensor | None,
        cos: Tensor | None,
        sin: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        n_q, n_k, _ = sizes
        y, v = qkv.split((n_q + n_k, sizes[2]), dim=2)
        r, normalized, gain = None, None, None
        if q_gain is not None and k_gain is not None:
            gain = torch.cat((q_gain.expand(n_q, -1), k_gain.expand(n_k, -1)))  # [head, d_head]
            r = inverse_rms(y)
            normalized = y * r
            y = normalized * gain
        y = _turn(y, cos, sin)
        ctx.sizes = sizes
        ctx.save_for_backward(r, normalized, gain, cos, sin)
        return y[:, :, :n_q], y[:, :, n_q:], v

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, q_grad: Tensor, k_grad: Tensor, v_grad: Tensor) -> tuple[Tensor | None, ...]:
        r, normalized, gain, cos, sin = ctx.saved_tensors
        n_q, n_k, n_v = ctx.sizes
        batch, n_pos, _, d_head = q_grad.shape
        grad = q_grad.new_empty(batch, n_pos, n_q + n_k + n_v, d_head)
        turned, grad[:, :, n_q + n_k :] = grad[:, :, : n_q + n_k], v_grad
        back = _turn(torch.cat((q_grad, k_grad), dim=2), cos, None if sin is None else -sin)
        if normalized is None:
            turned.copy_(back)
            return grad, None, None, None, None, None
        product = back * normalized
        gain_grad = product.sum((0, 1))
        along = (product * gain).mean(-1, keepdim=True)
        torch.mul(back.mul_(gain).addcmul_(normalized, along, value=-1), r, out=turned)
        return grad, None, gain_grad[:n_q].sum(0), gain_grad[n_q:].sum(0), None, None


def _turn(x: Tensor, cos: Tensor | None, sin: Tensor | None) -> Tensor:
    """`rotate`, or `x` itself without tables."""
    if cos is None or sin is None:
        return x
    return torch.mul(x, cos.unsqueeze(1)).addcmul_(x.roll(x.shape[-1] // 2, dims=-1), sin.unsqueeze(1))
