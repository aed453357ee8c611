"""The training objective: how surprised the model is by the next token, in nats."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

IGNORED = -1  # a target that does not count: padding, a prompt

Reduction = Literal["mean", "sum", "none"]


def cross_entropy(logits: Tensor, targets: Tensor, reduction: Reduction = "mean") -> Tensor:
    """-ln p(target) of the softmax over the logits, in nats per token.

    `logits` `[batch, pos, vocab]` of any float type, `targets` `[batch, pos]` int64 where -1 does not
    count. Computed in fp32: bf16 tells losses near ln 50257 = 10.8 apart only in steps of 0.06. "mean" is
    over the targets that count (NaN where none does), "sum" their sum, "none" `[batch, pos]` with 0 where a
    target does not count.
    """
    flat = F.cross_entropy(
        logits.float().reshape(-1, logits.shape[-1]),
        targets.reshape(-1),
        ignore_index=IGNORED,
        reduction=reduction,
    )
    return flat.view(targets.shape) if reduction == "none" else flat
