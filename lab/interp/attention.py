"""Where attention looks: patterns of heads, rollout through the layers, and how one row of a pattern came to be.

A pattern `[head, query, key]` says how much the position `query` (row) reads from `key` (column): each row sums to 1
and is 0 at keys that come after the query. Attention shows where information could flow, not that it mattered: see
`lab.interp.ablation` for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.interp.arrays import Array, to_array
from lab.interp.cache import ActivationCache
from lab.interp.forward import analysing, blocks, check_index, check_layer, plain
from lab.model import GPT
from lab.model.layers import rotate

PATTERN_SITES = ("pattern",)
ROW_SITES = ("q", "k")


def attention_patterns(cache: ActivationCache) -> Array:
    """Every head's pattern, `[layer, batch, head, query, key]` (Vaswani et al. 2017, §3.2.1)."""
    return to_array(cache.stack("pattern"))


def attention_rollout(cache: ActivationCache) -> Array:
    """How much each position's stream after each layer draws on each input token, if attention were all there is,
    `[layer, batch, query, key]` (Abnar and Zuidema 2020, §3).

    Each layer mixes half of what a position had (the residual connection) with half of the head average, and the
    mixtures are multiplied from the first layer up. Rows sum to 1. MLPs, values and the true size of what attention
    adds are left out, so it is a rough map.
    """
    average = cache.stack("pattern").float().mean(dim=2)
    identity = torch.eye(average.shape[-1], device=average.device, dtype=average.dtype)
    rolled = [identity.expand_as(average[0])]
    for layer in average:
        rolled.append((0.5 * layer + 0.5 * identity) @ rolled[-1])
    return to_array(torch.stack(rolled[1:]))


@dataclass(frozen=True)
class AttentionRow:
    """How one query shares out its attention: one number per key in each field, in the order of computation.

    Keys after the query are in `dot_products` and `scores` too, to show what the mask hides; `masked` is -inf there.
    """

    dot_products: Array  # q·k
    scores: Array  # q·k / √d_head
    masked: Array  # -inf where the key comes after the query
    exponentials: Array  # exp(masked - its largest), which keeps exp from overflowing
    total: float  # their sum
    pattern: Array  # exponentials / total: the weights that the values are averaged with


def attention_row(
    model: GPT, cache: ActivationCache, layer: int, head: int, query: int, sequence: int = 0
) -> AttentionRow:
    """Scores → mask → softmax of one row of one pattern, step by step, each `[key]` (Vaswani et al. 2017, §3.2.1).

    Queries and keys are taken after QK-norm and rotation; under grouped-query attention `head` is that of the query.
    Negative indices count from the end. Needs `q` and `k`; raises ValueError for an index out of range.
    """
    model = plain(model)
    config = cache.config
    layer = check_layer(config, layer)
    head = check_index("head", head, config.n_heads)
    sequence = check_index("sequence", sequence, cache.shape[0])
    query = check_index("query position", query, cache.shape[1])
    with analysing(model):
        queries, keys = _as_multiplied(model, layer, cache["q", layer][sequence], cache["k", layer][sequence])
        kv_head = head // (config.n_heads // config.kv_heads)
        products = (keys[:, kv_head] @ queries[query, head]).float()
    scores = products / math.sqrt(config.d_head)
    masked = scores.clone()
    masked[query + 1 :] = -math.inf
    exponentials = (masked - masked.max()).exp()
    total = exponentials.sum()
    return AttentionRow(
        to_array(products),
        to_array(scores),
        to_array(masked),
        to_array(exponentials),
        float(total),
        to_array(exponentials / total),
    )


def _as_multiplied(model: GPT, layer: int, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys `[pos, head, d_head]` as the scores are made of them: normed and rotated where the model does
    so."""
    attn = blocks(model)[layer].attn
    if attn.q_norm is not None and attn.k_norm is not None:
        q, k = attn.q_norm(q), attn.k_norm(k)
    if model.rotary is not None:
        tables = model.rotary(0, q.shape[0])
        q, k = rotate(q, *tables), rotate(k, *tables)
    return q, k
