"""Which small models to train before a large one: a ladder whose rungs together cost a tenth of it.

A rung is the same network, narrower, trained on fewer tokens with the same recipe and the same shape of schedule. Depth
stays (what a model can do at all, an induction head for one, depends on it), and so do batch and context. AdamW's
learning rate grows as the network narrows: at the target's, a narrow one would hardly leave its plateau in so few
steps, and tell of that. The narrowest network is trained longest: how the loss falls with tokens is what a forecast
errs in most, runs of a few hundred steps are all on one plateau, and steps are cheap there. One rung is trained with
two seeds: how far they part is the seed noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lab.model import GPTConfig, count_parameters, flops_per_token

SHARE = 0.1  # of the target's training FLOPs: the cost of the whole ladder
SHAPE = ((0.25, 0.45, 0), (0.25, 0.20, 0), (0.25, 0.20, 1), (0.50, 0.12, 0))
"""A rung's width and tokens as parts of the target's, and its seed; tokens are scaled to meet `SHARE`."""
FEWEST_STEPS = 150  # shorter runs are still on the plateau where all models are alike; 300 are better
NARROWEST = 16
RATE_EXPONENT = 0.5
"""AdamW's best rate falls with the width, by a power between 0 (embeddings) and 1 (matrices; Yang et al. 2022).
Half of it, for all, forecast best; see LOG.md."""


@dataclass(frozen=True)
class Rung:
    """One pilot: a network, how many steps, and the number of its seed (0: the target's own)."""

    config: GPTConfig
    steps: int
    seed: int = 0


def ladder(config: GPTConfig, steps: int, share: float = SHARE) -> list[Rung]:
    """The rungs for a target of `steps` optimizer steps, cheapest first; empty where they would be too short to tell.

    Batch size is the target's, so steps stand for tokens.
    """
    widths = {part: narrower(config, part) for part, _, _ in SHAPE}
    target = flops_per_token(config)
    whole = sum(tokens * flops_per_token(widths[part]) / target for part, tokens, _ in SHAPE)
    scale = share / whole
    rungs = [Rung(widths[part], math.floor(scale * tokens * steps), seed) for part, tokens, seed in SHAPE]
    if min(rung.steps for rung in rungs) < FEWEST_STEPS or len({rung.config.d_model for rung in rungs}) < 2:
        return []
    return sorted(rungs, key=cost)


def cost(rung: Rung) -> float:
    """Training FLOPs of a rung for each token of a step: what rungs of one batch size compare by."""
    return rung.steps * flops_per_token(rung.config)


def narrower(config: GPTConfig, part: float) -> GPTConfig:
    """The same network at `part` of its width: heads of about the same size, so fewer of them."""
    width = max(NARROWEST, 8 * round(part * config.d_model / 8))
    if width >= config.d_model:
        return config
    group = config.n_heads // config.kv_heads
    fits = [h for h in range(1, width + 1) if width % h == 0 and (width // h) % 2 == 0]
    grouped = [h for h in fits if h % group == 0] or fits
    heads = min(grouped, key=lambda h: abs(math.log(width / h / config.d_head)))
    kv_heads = None if config.n_kv_heads is None else heads // group if heads % group == 0 else heads
    hidden = None if config.d_mlp is None else max(8, 8 * round(config.d_mlp * width / config.d_model / 8))
    return replace(config, d_model=width, n_heads=heads, n_kv_heads=kv_heads, d_mlp=hidden)


def rate_factor(config: GPTConfig, target: GPTConfig) -> float:
    """What a rung's learning rate is the target's times of."""
    return (target.d_model / config.d_model) ** RATE_EXPONENT


def computing_parameters(config: GPTConfig) -> int:
    """The parameters a law counts: those that compute. Embeddings and the position table only look up, but the head,
    tied or not, is multiplied with (Kaplan et al. 2020 leave it out too; on small models with large vocabularies that
    forecasts worse)."""
    counts = count_parameters(config)
    head = counts["unembedding"] or counts["token_embedding"]
    return counts["attention"] + counts["mlp"] + head
