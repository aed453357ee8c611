"""What each head does, as one number a head: how spread out it attends, how far back, and whether it looks at the
previous token, at an earlier copy, or at what followed that copy.

Every score is a mean over the batch and over the queries that have a choice (the first position has none), and comes
with the value that attending evenly to all visible keys would give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.interp.arrays import Array, to_array
from lab.interp.cache import ActivationCache

HEAD_SITES = ("pattern",)


@dataclass(frozen=True)
class HeadScore:
    """One number for each head, `[layer, head]`: a mean over texts, with its standard error."""

    values: Array
    errors: Array  # standard error over the texts of the batch; NaN for a single text, whose queries are no sample
    chance: float  # the value of a head that attends evenly to all it may see


def attention_entropy(cache: ActivationCache) -> HeadScore:
    """How spread out each head's attention is: 0 where every query reads one key, 1 where all keys alike.

    Each row's entropy in nats over the largest it could have, ln of the keys it may see, so that early rows count like
    late ones.
    """
    pattern = _patterns(cache)
    most = torch.log(_visible(pattern))[1:]
    return _over_texts(torch.special.entr(pattern).sum(-1)[..., 1:] / most, 1.0)


def first_token_attention(cache: ActivationCache) -> HeadScore:
    """The share of attention on the first position, where it goes that a head has no other use for (the attention sink
    of Xiao et al. 2023, §3.1)."""
    pattern = _patterns(cache)
    return _over_texts(pattern[..., 1:, 0], _chance(pattern, 1))


def attention_distance(cache: ActivationCache) -> HeadScore:
    """How many tokens back each head reads on average: 0 is itself, 1 the previous token."""
    pattern = _patterns(cache)
    position = torch.arange(pattern.shape[-1], device=pattern.device, dtype=pattern.dtype)
    # Each row sums to 1, so the mean of query - key is the query less the mean key.
    distance = position[1:] - pattern[..., 1:, :] @ position
    return _over_texts(distance, float(position[1:].mean() / 2))


def previous_token_score(cache: ActivationCache, period: int | None = None) -> HeadScore:
    """The share of attention on the token just before. On text repeated with `period`, over the queries of the repeats
    alone, to compare with the other two scores there."""
    return _score(cache, distance=1, start=1 if period is None else _checked(cache, period))


def duplicate_token_score(cache: ActivationCache, period: int) -> HeadScore:
    """On text repeated with `period`: the share of attention on the same token, one period back (Wang et al. 2022, §3,
    duplicate token heads)."""
    return _score(cache, distance=period, start=_checked(cache, period))


def induction_score(cache: ActivationCache, period: int) -> HeadScore:
    """On text repeated with `period`: the share of attention on the token that followed this one's earlier copy (Olsson
    et al. 2022, prefix matching).

    A head near 1 finds how the pattern continued last time. It takes two layers: a head of an earlier one must have
    written into each position what its previous token was, so one-layer models stay at chance.
    """
    return _score(cache, distance=period - 1, start=_checked(cache, period))


@dataclass(frozen=True)
class HeadMeasure:
    """One of `HEAD_MEASURES`: `score(cache)`, or `score(cache, period)` where it is measured `on_repeats`."""

    meaning: str  # of its number, in a few words
    score: Callable[..., HeadScore]
    on_repeats: bool = False


HEAD_MEASURES = {
    "entropy": HeadMeasure("how spread out: 0 reads one token, 1 all alike", attention_entropy),
    "first_token": HeadMeasure("share of attention on the first token, the sink", first_token_attention),
    "distance": HeadMeasure("how many tokens back, on average", attention_distance),
    "previous_token": HeadMeasure("share on the token just before", previous_token_score, on_repeats=True),
    "duplicate_token": HeadMeasure("share on this token's earlier copy", duplicate_token_score, on_repeats=True),
    "induction": HeadMeasure("share on what followed the earlier copy", induction_score, on_repeats=True),
}


def text_scores(text: ActivationCache) -> dict[str, HeadScore]:
    """Those of `HEAD_MEASURES` that are measured on any text."""
    return {name: measure.score(text) for name, measure in HEAD_MEASURES.items() if not measure.on_repeats}


def repeat_scores(repeated: ActivationCache, period: int) -> dict[str, HeadScore]:
    """Those of `HEAD_MEASURES` that are measured on text repeated with `period`."""
    return {name: measure.score(repeated, period) for name, measure in HEAD_MEASURES.items() if measure.on_repeats}


def head_scores(
    text: ActivationCache, repeated: ActivationCache | None = None, period: int | None = None
) -> dict[str, HeadScore]:
    """All of `HEAD_MEASURES`, by name; without `repeated` the previous token's on the text, and none of copies."""
    if repeated is None or period is None:
        return text_scores(text) | {"previous_token": previous_token_score(text)}
    return text_scores(text) | repeat_scores(repeated, period)


def largest_score(cache: ActivationCache) -> Array:
    """The largest attention score q·k/√d_head of each head over all visible pairs, `[layer, head]`.

    Growth over training from some 5 to above 50 precedes instability: the softmax then passes on hardly any gradient
    (Dehghani et al. 2023, §3.1). Needs `attn_scores`.
    """
    return to_array(cache.stack("attn_scores").float().amax(dim=(1, 3, 4)))


def repeated_random_tokens(vocab_size: int, length: int, batch: int = 8, seed: int = 0) -> Tensor:
    """Random blocks of `length` tokens, each written twice: int64 `[batch, 2·length]`, period `length`.

    Nothing but the repetition can be predicted. A block is drawn without replacement, so that each token has one
    earlier copy: a token twice in a block caps the induction score near 0.9. The same `seed` gives the same tokens.
    Raises ValueError where the vocabulary is smaller than a block.
    """
    problems = []
    if length < 2:
        problems.append(f"length={length}: a block needs at least 2 tokens")
    if batch < 1:
        problems.append(f"batch={batch}: at least 1")
    if length > vocab_size:
        problems.append(
            f"length={length} tokens without replacement need a vocabulary of that size, this one has "
            f"{vocab_size}: take a length of at most {vocab_size}"
        )
    if problems:
        raise ValueError("\n".join(problems))
    generator = torch.Generator().manual_seed(seed)
    block = torch.stack([torch.randperm(vocab_size, generator=generator)[:length] for _ in range(batch)])
    return block.repeat(1, 2)


def check_period(cache: ActivationCache, period: int) -> None:
    """Raise ValueError where the cache's tokens don't repeat with this period, at least once."""
    n_pos = cache.shape[1]
    if not 2 <= period <= n_pos - 2:
        raise ValueError(
            f"period={period}: at least 2 tokens must come again, and {n_pos} tokens have room for that with "
            f"periods from 2 to {n_pos - 2}"
        )
    tokens = cache.tokens
    if not torch.equal(tokens[:, period:], tokens[:, :-period]):
        raise ValueError(
            f"the tokens do not repeat with period {period}: this is measured on repeated_random_tokens(…)"
        )


def _checked(cache: ActivationCache, period: int) -> int:
    check_period(cache, period)
    return period


def _patterns(cache: ActivationCache) -> Tensor:
    """`[layer, batch, head, query, key]` of a text in which some query has a choice."""
    if cache.shape[1] < 2:
        raise ValueError("a text of one token can only attend to itself: give at least 2 tokens")
    return cache.stack("pattern").float()


def _score(cache: ActivationCache, distance: int, start: int) -> HeadScore:
    """The mean attention of the queries from `start` on to the key `distance` before them."""
    pattern = _patterns(cache)
    diagonal = pattern.diagonal(-distance, dim1=-2, dim2=-1)[..., start - distance :]
    return _over_texts(diagonal, _chance(pattern, start))


def _over_texts(x: Tensor, chance: float) -> HeadScore:
    """The mean of `[layer, batch, head, query]` over queries, then over the texts of the batch, and its error."""
    values = to_array(x.mean(dim=(1, 3)))
    n_texts = x.shape[1]
    if n_texts == 1:
        return HeadScore(values, np.full_like(values, np.nan), chance)
    return HeadScore(values, to_array(x.mean(dim=3).std(dim=1) / n_texts**0.5), chance)


def _visible(pattern: Tensor) -> Tensor:
    """How many keys each query may see: 1, 2, 3, …."""
    return torch.arange(1, pattern.shape[-1] + 1, device=pattern.device, dtype=pattern.dtype)


def _chance(pattern: Tensor, start: int) -> float:
    """What one key gets on average, from the query `start` on, if all that are visible get the same."""
    return float((1 / _visible(pattern))[start:].mean())
