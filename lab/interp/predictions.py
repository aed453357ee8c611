"""Next-token predictions: loss, rank and most likely tokens at each position; how much context helps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lab.interp.arrays import Array, IntArray, to_array, to_integers
from lab.interp.cache import ActivationCache
from lab.interp.heads import check_period
from lab.interp.taps import LOGITS
from lab.model import cross_entropy

PREDICTION_SITES = (LOGITS,)


def token_losses(cache: ActivationCache) -> Array:
    """The cross-entropy of each token, `[batch, pos-1]` in nats: entry t is for token t+1 after tokens 0 … t.

    The first token has no loss, as nothing was read before it. Compare with ln(vocab_size), that of all tokens equally
    likely. Raises ValueError for texts of one token.
    """
    return to_array(_losses(cache))


@dataclass(frozen=True)
class TokenPredictions:
    """What was predicted at each position; see `token_predictions`."""

    loss: Array  # [batch, pos-1] nats
    probability: Array  # [batch, pos-1] of the token that came
    rank: IntArray  # [batch, pos-1] of the token that came; 1 is the model's first guess
    top_tokens: IntArray  # [batch, pos, k] the best guesses, best first; also after the last token
    top_probabilities: Array  # [batch, pos, k]


def token_predictions(cache: ActivationCache, top_k: int = 5) -> TokenPredictions:
    """Loss, probability and rank of each token that came, and the `top_k` guesses after each position (at most
    vocab_size).

    Entry t of the first three is about token t+1; the guesses have one entry more, for the token after the text. A rank
    counts the tokens with a higher logit, plus 1.
    """
    if top_k < 1:
        raise ValueError(f"top_k={top_k}: ask for at least 1 guess")
    logits = cache.logits.float()
    losses = _losses(cache)
    top = logits.softmax(dim=-1).topk(min(top_k, logits.shape[-1]), dim=-1)
    return TokenPredictions(
        loss=to_array(losses),
        probability=to_array((-losses).exp()),
        rank=to_integers(ranks(logits[:, :-1], cache.tokens[:, 1:])),
        top_tokens=to_integers(top.indices),
        top_probabilities=to_array(top.values),
    )


def ranks(logits: Tensor, targets: Tensor) -> Tensor:
    """The place of each target `[…]` among the logits `[…, vocab]` from the highest down; 1 is the first."""
    return (logits > logits.gather(-1, targets.unsqueeze(-1))).sum(-1) + 1


def in_context_score(losses: Array) -> float | None:
    """How much better the model predicts late in its context than early, in nats per token: the mean loss of the last
    quarter of positions less that of the first quarter. Negative where context helps; None below 5 tokens.

    `losses` are those of `token_losses`, `[batch, pos-1]`; noisy below some 100 sequences. Olsson et al. (2022,
    "in-context learning score") take the 500th and the 50th token; quarters suit any length and are less noisy. On
    random tokens it measures nothing.
    """
    mean = losses.mean(axis=0)
    quarter = len(mean) // 4
    return float(mean[-quarter:].mean() - mean[:quarter].mean()) if quarter else None


@dataclass(frozen=True)
class InductionLoss:
    """Losses on repeated random tokens, in nats per token; see `induction_loss`."""

    first: float  # where nothing can be known: near ln(vocab_size) at best
    second: float  # on the repeats: near 0 for a model with induction heads
    gap: float  # first - second


def induction_loss(cache: ActivationCache, period: int) -> InductionLoss:
    """What repetition teaches the model within its context: the loss on the first block of repeated random tokens
    against that on the repeats (Olsson et al. 2022).

    The behaviour that `induction_score` shows the mechanism of. The first repeated token doesn't count: nothing says
    that the repeat begins there.
    """
    check_period(cache, period)
    losses = _losses(cache).mean(dim=0)
    # losses[t] is for token t+1, so losses[period-1] is for the first repeated one.
    predictable = torch.arange(1, len(losses) + 1, device=losses.device) > period
    first, second = float(losses[: period - 1].mean()), float(losses[predictable].mean())
    return InductionLoss(first, second, first - second)


def _losses(cache: ActivationCache) -> Tensor:
    if cache.shape[1] < 2:
        raise ValueError("a text of one token leaves nothing to predict: give at least 2 tokens")
    return cross_entropy(cache.logits[:, :-1], cache.tokens[:, 1:], "none")
