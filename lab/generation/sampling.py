"""From logits to the next token: which tokens may be drawn, with which probabilities, and the draw itself.

The order is fixed: logits → temperature → top-k → top-p → renormalise → draw. Everything here is a function of its
arguments; the random number is one of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.checks import is_integer, is_number

MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Sampling:
    """How to sample: the settings of `stream`.

    Args:
        max_new_tokens: Tokens to generate at most.
        temperature: Logits are divided by it. Below 1 likely tokens become likelier, above 1 all become more alike; 1
            is the model's own distribution, 0 always takes the likeliest token (greedy).
        top_k: Draw among the k likeliest tokens only (Fan et al. 2018); all that tie with the k-th stay. None: all.
        top_p: Draw among the likeliest tokens that together have probability p, as few as that takes ("nucleus",
            Holtzman et al. 2020), counted after temperature and top-k. None: all.
        seed: Of the draws. The same seed, model and prompt give the same text.

    Raises:
        ValueError: naming every setting that cannot be.
    """

    max_new_tokens: int = 256
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 1337

    def __post_init__(self) -> None:
        problems = []
        if not is_integer(self.max_new_tokens) or self.max_new_tokens < 1:
            problems.append(f"max_new_tokens={self.max_new_tokens!r}: must be a whole number of at least 1")
        if not is_number(self.temperature) or self.temperature < 0:
            problems.append(f"temperature={self.temperature!r}: must be 0 (always the likeliest token) or above")
        if self.top_k is not None and (not is_integer(self.top_k) or self.top_k < 1):
            problems.append(f"top_k={self.top_k!r}: must be a whole number of at least 1, or none for all tokens")
        if self.top_p is not None and not (is_number(self.top_p) and 0 < self.top_p <= 1):
            problems.append(f"top_p={self.top_p!r}: must lie in (0, 1], for example 0.95, or be none for all tokens")
        if not is_integer(self.seed) or not 0 <= self.seed <= MAX_SEED:
            problems.append(f"seed={self.seed!r}: must be a whole number from 0 to 2^63 - 1")
        if problems:
            raise ValueError("\n".join(problems))


@dataclass(frozen=True)
class Distribution:
    """What a token is drawn from, and what was removed on the way there; every field `[..., vocab_size]`.

    A removed token was removed by one of the two, and its probability is 0.
    """

    probabilities: Tensor
    removed_by_top_k: Tensor
    removed_by_top_p: Tensor


def own_probabilities(logits: Tensor) -> Tensor:
    """The model's own distribution, temperature 1 and nothing removed: softmax in float64, `[..., vocab_size]`."""
    return logits.double().softmax(dim=-1)


def with_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Logits `[..., vocab_size]` divided by the temperature, float64, the largest moved to 0.

    At temperature 0 all but the largest become -inf: the limit of dividing by ever less. Of equal ones the first stays.
    """
    logits = logits.double()
    if temperature == 0:
        first = logits.argmax(dim=-1, keepdim=True)
        return torch.full_like(logits, -math.inf).scatter(-1, first, 0.0)
    # Moved first: a tiny temperature then makes -inf out of all others, and never inf - inf.
    return (logits - logits.amax(dim=-1, keepdim=True)) / temperature


def below_top_k(logits: Tensor, k: int | None) -> Tensor:
    """Which tokens are less likely than the k-th likeliest; bool, as `logits` `[..., vocab_size]`.

    With a k of at least vocab_size, or none, no token is.
    """
    if k is None or k >= logits.shape[-1]:
        return torch.zeros_like(logits, dtype=torch.bool)
    return logits < logits.topk(k, dim=-1).values[..., -1:]


def outside_top_p(logits: Tensor, p: float | None) -> Tensor:
    """Which tokens the likelier ones make superfluous by having probability `p` already; bool, as `logits`.

    The likeliest always stays, and so does the one by which `p` is reached.
    """
    if p is None or p == 1:
        return torch.zeros_like(logits, dtype=torch.bool)
    ordered, order = logits.softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    likelier = ordered.cumsum(dim=-1) - ordered
    return torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, likelier >= p)


def distribution(logits: Tensor, sampling: Sampling) -> Distribution:
    """What a token is drawn from, of `logits` `[..., vocab_size]`: temperature, top-k, top-p, renormalised."""
    scaled = with_temperature(logits, sampling.temperature)
    impossible = scaled == -math.inf  # greedy, or so cold that it comes to the same: not removed by k or p
    by_top_k = below_top_k(scaled, sampling.top_k) & ~impossible
    scaled = scaled.masked_fill(by_top_k, -math.inf)
    by_top_p = outside_top_p(scaled, sampling.top_p) & (scaled > -math.inf)
    probabilities = scaled.masked_fill(by_top_p, -math.inf).softmax(dim=-1)
    return Distribution(probabilities, by_top_k, by_top_p)


def draw(probabilities: Tensor, u: float) -> int:
    """The token whose part of the cumulative distribution of `probabilities` `[vocab_size]` holds `u`, in [0, 1).

    One random number a token, whatever the vocabulary: two models, or two temperatures, can be given the same numbers,
    so that their texts differ by nothing else. A token of probability 0 is never drawn.
    """
    cumulative = probabilities.double().cumsum(dim=-1)
    point = torch.as_tensor(u, dtype=torch.float64, device=cumulative.device) * cumulative[-1]
    # `right`: the first token whose upper bound is above the point, so one of probability 0 is passed over.
    token = int(torch.searchsorted(cumulative, point, right=True))
    return token if token < len(cumulative) else int(probabilities.nonzero()[-1])
