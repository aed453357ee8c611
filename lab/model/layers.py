"""The small parts a block is built from: norms, rotary positions, dropout and the feed-forward networks."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lab.model.config import NORM_EPSILON, GPTConfig
from lab.model.fused import rms_norm, squared_relu
from lab.model.linear import Linear
from lab.model.taps import Scope, site

DropoutKernel = Literal["auto", "torch", "bytes"]


class LayerNorm(nn.Module):
    """Shift and scale each vector to mean 0 and variance 1, then by a learned gain and bias (Ba et al. 2016).

    `[..., width]` in and out. Site `hook_normalized`: before gain and bias.
    """

    def __init__(self, width: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: Tensor, tap: Scope | None = None) -> Tensor:
        width = self.weight.shape
        if tap is None or not tap.wants("hook_normalized"):
            return F.layer_norm(x, width, self.weight, self.bias, NORM_EPSILON)
        x = tap("hook_normalized", F.layer_norm(x, width, eps=NORM_EPSILON)) * self.weight
        return x if self.bias is None else x + self.bias


class RMSNorm(nn.Module):
    """Scale each vector to a root mean square of 1, then by a learned gain (Zhang and Sennrich 2019).

    `[..., width]` in and out. Site `hook_normalized`: before the gain.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, tap: Scope | None = None) -> Tensor:
        if tap is None or not tap.wants("hook_normalized"):
            return rms_norm(x, self.weight)
        return tap("hook_normalized", F.rms_norm(x, self.weight.shape, eps=NORM_EPSILON)) * self.weight


def make_norm(config: GPTConfig) -> LayerNorm | RMSNorm:
    """The norm the configuration asks for, over the residual stream."""
    return RMSNorm(config.d_model) if config.norm == "rmsnorm" else LayerNorm(config.d_model, config.bias)


class Dropout(nn.Module):
    """Set each number to 0 with probability p and scale the rest by 1/(1-p), in training (Srivastava 2014).

    All of the model's dropout goes through here, but for that inside PyTorch's fused attention. On a CPU one random
    byte decides about each number, five times as fast as PyTorch's own (8 ms instead of 42, forward and backward, for
    the 6.3 million attention weights of batch 16, 6 heads, context 256): p is then rounded to 1/256, 0.2 to 0.1992, and
    the rest scaled by what that leaves. Where rounding would change p by more than a twentieth, on other devices, and
    compiled, it is PyTorch's. Either way `torch.manual_seed` decides what is dropped.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.kernel: DropoutKernel = "auto"

    @property
    def active(self) -> float:
        """The probability at work now: 0 outside training."""
        return self.p if self.training else 0.0

    def forward(self, x: Tensor) -> Tensor:
        if not self.active:
            return x
        # The compiler cannot follow the in-place draw of bytes: compiled, the kernel is PyTorch's.
        wanted = self.kernel == "bytes" or (self.kernel == "auto" and x.device.type == "cpu" and byte_exact(self.p))
        if wanted and not torch.compiler.is_compiling():
            return byte_dropout(x, self.p)
        return F.dropout(x, self.p)


def byte_exact(p: float) -> bool:
    """Whether p, rounded to 1/256, is still p within a twentieth."""
    return abs(round(256 * p) / 256 - p) <= p / 20 and round(256 * p) < 256


def byte_dropout(x: Tensor, p: float) -> Tensor:
    """Dropout with probability round(256·p)/256, at least 1/256 and at most 255/256; the mean of `x` is kept."""
    dropped = min(max(round(256 * p), 1), 255)
    y: Tensor = _ByteDropout.apply(x, dropped)
    return y


class _ByteDropout(torch.autograd.Function):
    """Keeps each number whose random byte is `dropped` or more; one byte a number is stored for backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped: int) -> Tensor:
        # From the lowest int64 on: random_() alone leaves the sign bit 0, and every eighth byte below 128.
        numbers = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = numbers.view(torch.uint8)[: x.numel()].ge_(dropped).view(x.shape)
        ctx.save_for_backward(kept)
        ctx.scale = 256 / (256 - dropped)
        return _keep(x, kept, ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return _keep(grad, kept, ctx.scale), None


def _keep(x: Tensor, kept: Tensor, scale: float) -> Tensor:
    """`x` where `kept` is 1, scaled, and 0 where it is 0: a product of integers on the bits, which PyTorch vectorises;
    a float times a truth value it does not."""
    bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()]
    return (x.contiguous().view(bits) * kept.to(bits)).view(x.dtype).mul_(scale)


class Rotary(nn.Module):
    """Rotary positions: the cosines and sines by which queries and keys turn (Su et al. 2021, §3.2).

    Pair i of a head's dimensions turns by base^(-2i/d_head) radians a position: the first pair goes round every 6
    positions, the last, at base 10000, every 60 thousand. Nothing here is learned or saved.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        # In double: position times frequency in single precision is off by 1e-4 radians at position 1000.
        pair = torch.arange(0, config.d_head, 2, dtype=torch.float64) / config.d_head
        angle = torch.outer(torch.arange(config.context_length, dtype=torch.float64), config.rope_base**-pair)
        cos, sin = angle.cos().float(), angle.sin().float()
        self.register_buffer("cos", torch.cat((cos, cos), dim=-1), persistent=False)
        self.register_buffer("sin", torch.cat((-sin, sin), dim=-1), persistent=False)

    def forward(self, start: int, n_pos: int) -> tuple[Tensor, Tensor]:
        """Tables `[pos, d_head]` for the `n_pos` positions from `start` on, see `rotate`."""
        return self.cos[start : start + n_pos], self.sin[start : start + n_pos]


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each head's vectors by their position: `[batch, pos, head, d_head]` in and out.

    Dimension i is paired with i + d_head/2: (a, b) becomes (a cos - b sin, b cos + a sin), so the tables `[pos,
    d_head]` hold the cosines twice, and the sines first negated, then as they are. The product of a turned query and a
    turned key depends on their positions only through the difference.
    """
    cos, sin = cos.to(x.dtype).unsqueeze(1), sin.to(x.dtype).unsqueeze(1)
    # Whole vectors, rolled: 1.45 times as fast as computing both halves and joining them, and the same bits.
    return x * cos + x.roll(x.shape[-1] // 2, dims=-1) * sin


class MLP(nn.Module):
    """Two layers applied to each position alone (Vaswani et al. 2017, §3.3).

    `[batch, pos, d_model]` in and out. Sites: `hook_pre` and `hook_post` `[batch, pos, d_mlp]`, before and after the
    activation function.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.kind = config.mlp
        self.up = Linear(config.d_model, config.mlp_width, bias=config.bias)
        self.down = Linear(config.mlp_width, config.d_model, bias=config.bias)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, tap: Scope | None = None) -> Tensor:
        x = site(tap, "hook_pre", self.up(x))
        if self.kind == "relu2":
            x = squared_relu(x)
        elif self.kind == "relu":
            x = F.relu(x)
        else:
            x = F.gelu(x, approximate="tanh" if self.kind == "gelu_tanh" else "none")
        return self.dropout(self.down(site(tap, "hook_post", x)))


class SwiGLU(nn.Module):
    """An MLP whose hidden units each pass a learned gate: down(silu(gate(x)) · up(x)) (Shazeer 2020).

    `[batch, pos, d_model]` in and out. Sites, each `[batch, pos, d_mlp]`: `hook_pre` the gate before its activation
    function, `hook_pre_linear` what it multiplies, `hook_post` the product.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        # Gate and up in one matrix: one large product is faster than two small ones.
        self.gate_up = Linear(config.d_model, 2 * config.mlp_width, bias=config.bias)
        self.down = Linear(config.mlp_width, config.d_model, bias=config.bias)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, tap: Scope | None = None) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        gate, up = site(tap, "hook_pre", gate), site(tap, "hook_pre_linear", up)
        return self.dropout(self.down(site(tap, "hook_post", F.silu(gate) * up)))


def make_mlp(config: GPTConfig) -> MLP | SwiGLU:
    """The feed-forward network the configuration asks for."""
    return SwiGLU(config) if config.mlp == "swiglu" else MLP(config)
