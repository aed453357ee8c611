"""The linear layer, and its product for a single vector, which is what every step of decoding asks for.

A product of a weight with one vector reads each weight once, so memory is its limit, if the BLAS is good at it. On AMD
processors MKL's is not: one core reads 8 to 13 GB/s, two no more, where summing the same weights reads 32. Given the
vector twice, as two columns, it takes its product of matrices instead: 14 to 19 GB/s, 25 to 33 with two cores. Which
way is the faster one is measured at the first use in a process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST_WEIGHTS = 1 << 17  # from here on: smaller weights stay in the processor's cache, and the copies cost more
# Of the trial: so many weights of this shape that they do not stay in a core's cache, 25 MB: 1 to 3 ms each time.
TRIAL_WEIGHTS, TRIAL_SHAPE, TRIAL_ROUNDS = 8, (1536, 512), 3


class Linear(nn.Linear):
    """x·Wᵀ + b: `[..., in]` to `[..., out]`, with `weight` `[out, in]`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear`: `x` `[..., in]`, `weight` `[out, in]`. The same up to rounding where `x` is a single vector."""
    if _is_one_vector(x, weight) and pairs_are_faster():
        y = _as_pair(x, weight).view(*x.shape[:-1], -1)
        return y if bias is None else y + bias
    return F.linear(x, weight, bias)


def _is_one_vector(x: Tensor, weight: Tensor) -> bool:
    return (
        not torch.compiler.is_compiling()  # first: compiled code is to be bound to no shape for this
        and not torch.is_grad_enabled()
        and x.numel() == x.shape[-1]
        and weight.numel() >= LEAST_WEIGHTS
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
    )


def _as_pair(x: Tensor, weight: Tensor) -> Tensor:
    """weight·x `[out]` as the first of two equal columns."""
    pair = x.reshape(1, -1).expand(2, -1).contiguous()
    return torch.mm(weight, pair.T)[:, 0].contiguous()


@contextmanager
def one_thread() -> Iterator[None]:
    """What is inside is computed by one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def pairs_are_faster() -> bool:
    """Whether a vector given twice is multiplied faster here than once, by one thread."""
    weights, x = torch.ones(TRIAL_WEIGHTS, *TRIAL_SHAPE), torch.ones(1, TRIAL_SHAPE[1])

    def seconds(product: Callable[[Tensor, Tensor], Tensor]) -> float:
        begin = time.perf_counter()
        for weight in weights:
            product(x, weight)
        return time.perf_counter() - begin

    with torch.no_grad(), one_thread():
        rounds = [(seconds(F.linear), seconds(_as_pair)) for _ in range(TRIAL_ROUNDS)]
    return min(pair for _, pair in rounds) < min(once for once, _ in rounds)
