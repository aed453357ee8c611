"""The training objective: the cross-entropy of the next token, in nats.

Two ways to the same number. `cross_entropy` reads logits. `head_loss` computes them itself, a few positions at a time,
and discards them: with GPT-2's vocabulary the logits of one step of 4096 tokens and what their softmax needs are
2.5 GB, more than the whole model and its optimizer.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from lab.model.linear import linear

IGNORED = -1  # a target that does not count: padding, a prompt

Reduction = Literal["mean", "sum", "none"]
LossKernel = Literal["auto", "whole", "chunked"]

CHUNKED_VOCABULARY = 1024  # from here "auto" takes chunks on a CPU; below, logits are a small part of a step
CHUNK_LOGITS = {"cpu": 1 << 24}  # logits of one chunk: 64 MB in fp32
CHUNK_LOGITS_ELSEWHERE = 1 << 28  # a GPU needs larger products to be busy


def cross_entropy(logits: Tensor, targets: Tensor, reduction: Reduction = "mean") -> Tensor:
    """-ln p(target) of the softmax over the logits, in nats per token.

    `logits` `[batch, pos, vocab]` of any float type, `targets` `[batch, pos]` int64 where -1 does not
    count. Computed in fp32: bf16 tells losses near ln 50257 = 10.8 apart only in steps of 0.06. "mean" is
    over the targets that count (NaN where none does), "sum" their sum, "none" `[batch, pos]` with 0 where a
    target does not count.
    """
    flat = F.cross_entropy(
        logits.float().reshape(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=IGNORED, reduction=reduction
    )
    return flat.view(targets.shape) if reduction == "none" else flat


def head_logits(x: Tensor, weight: Tensor, vocab_size: int, softcap: float | None) -> Tensor:
    """Logits `[..., vocab_size]` of the normalised stream `[..., d_model]`.

    `weight` `[rows, d_model]` may have more rows than there are tokens: their logits are cut off. A soft-cap squashes
    into (-cap, cap) by cap·tanh(logits/cap) (Gemma 2, 2024).
    """
    logits = linear(x, weight)[..., :vocab_size]
    return logits if softcap is None else softcap * torch.tanh(logits / softcap)


def head_loss(
    x: Tensor,
    weight: Tensor,
    targets: Tensor,
    vocab_size: int,
    softcap: float | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """`cross_entropy` of `head_logits`, without ever holding more than a chunk of the logits.

    The same values and gradients up to rounding. For "mean" and "sum" each chunk's gradient is computed along with its
    loss, since the gradient that will come back is one number, known to be a factor; so nothing is computed twice (the
    idea of Hsu et al. 2024, "Liger Kernel", §3.2). "none" computes each chunk again on the way back.
    """
    if reduction == "none":
        return _each_loss(x, weight, targets, vocab_size, softcap)
    dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
    flat, flat_targets = x.reshape(-1, x.shape[-1]), targets.reshape(-1)
    total = _ChunkedLoss.apply(flat, weight, flat_targets, vocab_size, softcap, dtype)
    return total if reduction == "sum" else total / (targets != IGNORED).sum()


def rows_per_chunk(device: str, rows: int) -> int:
    """Positions whose logits over `rows` rows of the head are held at once."""
    return max(1, CHUNK_LOGITS.get(device, CHUNK_LOGITS_ELSEWHERE) // rows)


def _each_loss(x: Tensor, weight: Tensor, targets: Tensor, vocab_size: int, softcap: float | None) -> Tensor:
    def losses(part: Tensor, its_targets: Tensor) -> Tensor:
        return cross_entropy(head_logits(part, weight, vocab_size, softcap), its_targets, "none")

    chunk = rows_per_chunk(x.device.type, weight.shape[0])
    parts = zip(x.reshape(-1, x.shape[-1]).split(chunk), targets.reshape(-1).split(chunk), strict=True)
    again = torch.is_grad_enabled()
    each = [checkpoint(losses, *part, use_reentrant=False) if again else losses(*part) for part in parts]
    return torch.cat(each).view(targets.shape)


class _ChunkedLoss(torch.autograd.Function):
    """Sum of the losses of `x` `[n, d_model]`, chunk by chunk, gradients included where they are wanted."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, vocab_size: int, softcap: float | None, dtype: torch.dtype
    ) -> Tensor:
        wants_x, wants_weight = ctx.needs_input_grad[:2]
        rows = weight.shape[0]
        head = weight.detach().to(dtype)
        chunk = min(rows_per_chunk(x.device.type, rows), len(x))
        raw = torch.empty(chunk, rows, dtype=dtype, device=x.device)
        # Probabilities overwrite the logits where those are fp32 and the soft-cap's derivative does not need them.
        in_place = dtype == torch.float32 and softcap is None
        work = None if in_place else torch.empty(chunk, vocab_size, dtype=torch.float32, device=x.device)
        total = torch.zeros((), dtype=torch.float32, device=x.device)
        grad_x = torch.empty_like(x) if wants_x else None
        grad_weight = torch.zeros(weight.shape, dtype=torch.float32, device=x.device) if wants_weight else None
        with torch.autocast(x.device.type, enabled=False):
            for start in range(0, len(x), chunk):
                part, its_targets = x[start : start + chunk].to(dtype), targets[start : start + chunk]
                logits = torch.mm(part, head.T, out=raw[: len(part)])
                known = logits[:, :vocab_size]
                probabilities = known if work is None else work[: len(part)]
                total += _chunk_loss(its_targets, known, probabilities, softcap)
                if not (wants_x or wants_weight):
                    continue
                _chunk_gradient(its_targets, known, probabilities, softcap)
                logits[:, vocab_size:] = 0
                if grad_x is not None:
                    grad_x[start : start + chunk] = logits @ head
                if grad_weight is not None and dtype == torch.float32:
                    grad_weight.addmm_(logits.T, part)
                elif grad_weight is not None:
                    grad_weight += logits.T @ part
        ctx.save_for_backward(grad_x, None if grad_weight is None else grad_weight.to(weight.dtype))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # In place: a second backward pass through the same graph is refused by autograd, which sees the change.
        scaled = [None if gradient is None else gradient.mul_(grad) for gradient in ctx.saved_tensors]
        return (*scaled, None, None, None, None)


def _chunk_loss(targets: Tensor, logits: Tensor, probabilities: Tensor, softcap: float | None) -> Tensor:
    """Sum of the chunk's losses; leaves the softmax of its logits in `probabilities`, which may be the logits' memory.

    ln Σ exp(z) is read off the largest logit and its probability, max z - ln max p, which never underflows.
    """
    if softcap is not None:
        logits.div_(softcap).tanh_().mul_(softcap)
    if probabilities is not logits:
        probabilities.copy_(logits)
    highest, right = probabilities.amax(-1), probabilities.gather(1, targets.clamp(min=0)[:, None])[:, 0]
    torch.softmax(probabilities, dim=-1, out=probabilities)
    losses = (highest - right) - probabilities.amax(-1).log_()
    return losses.masked_fill_(targets == IGNORED, 0.0).sum()


def _chunk_gradient(targets: Tensor, logits: Tensor, probabilities: Tensor, softcap: float | None) -> None:
    """Overwrite `logits` by the gradient of the chunk's loss with respect to them: softmax minus one-hot."""
    gradient = probabilities
    gradient.scatter_add_(1, targets.clamp(min=0)[:, None], gradient.new_full((len(targets), 1), -1.0))
    gradient.masked_fill_((targets == IGNORED)[:, None], 0.0)
    if softcap is not None:  # the derivative of cap·tanh(z/cap) is 1 - tanh²
        gradient.mul_(1 - (logits.float() / softcap).square_())
    if gradient is not logits:
        logits.copy_(gradient)
