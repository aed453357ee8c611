"""Causal self-attention: multi-head and grouped-query, by two kernels that give equal results."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.model.cache import KVCache
from lab.model.config import GPTConfig
from lab.model.fused import is_faster, turned_heads
from lab.model.layers import Dropout, RMSNorm, rotate
from lab.model.linear import Linear
from lab.model.taps import Scope, site

Kernel = Literal["auto", "sdpa", "explicit"]

EXPLICIT_CONTEXT_LIMIT = 512  # keys up to which "auto" stores all scores: 100 MB a layer in bf16, batch 16, 12 heads


def causal_mask(n_query: int, n_key: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What is added to the scores `[query, key]`: 0 where a query may look, -inf at keys that come after it.

    The queries are the last `n_query` of the `n_key` positions.
    """
    mask = torch.full((n_query, n_key), -math.inf, dtype=dtype, device=device)
    return mask.triu_(1 + n_key - n_query)


def explicit_attention(q: Tensor, k: Tensor, v: Tensor, dropout: Dropout, tap: Scope | None = None) -> Tensor:
    """Attention with its scores written out: softmax(q·kᵀ/√d_head + mask)·v (Vaswani et al. 2017, §3.2.1).

    `q` `[batch, head, query, d_head]`, `k`, `v` `[batch, kv_head, key, d_head]`; returns the shape of `q`. Sites
    `[batch, head, query, key]`: `hook_attn_scores` after scaling and mask, `hook_pattern` after softmax.
    """
    batch, heads, n_query, d_head = q.shape
    groups, n_key = batch * k.shape[1], k.shape[2]
    # Query heads that share a key head are stacked along the queries, so that keys and values are never copied.
    stacked = q.reshape(groups, -1, d_head)
    keys = k.reshape(groups, n_key, d_head).transpose(1, 2)
    if n_query > 1:
        mask = causal_mask(n_query, n_key, q.dtype, q.device)
        if heads != k.shape[1]:
            mask = mask.repeat(heads // k.shape[1], 1)
        scores = torch.baddbmm(mask, stacked, keys, alpha=d_head**-0.5)
    else:
        scores = torch.bmm(stacked, keys) * d_head**-0.5
    scores = site(tap, "hook_attn_scores", scores.view(batch, heads, n_query, n_key))
    pattern = dropout(site(tap, "hook_pattern", scores.softmax(dim=-1)))
    z = torch.bmm(pattern.reshape(groups, -1, n_key), v.reshape(groups, n_key, d_head))
    return z.view(batch, heads, n_query, d_head)


def sdpa_attention(q: Tensor, k: Tensor, v: Tensor, dropout: Dropout) -> Tensor:
    """The same by PyTorch's fused `scaled_dot_product_attention`, which never writes the scores out."""
    n_query, n_key = q.shape[2], k.shape[2]
    # PyTorch's is_causal puts the first query at the first key: right only where nothing was cached before.
    is_causal = n_query > 1 and n_query == n_key
    mask = causal_mask(n_query, n_key, q.dtype, q.device) if n_query > 1 and not is_causal else None
    return F.scaled_dot_product_attention(
        q, k, v, mask, dropout.active, is_causal=is_causal, enable_gqa=q.shape[1] != k.shape[1]
    )


class Attention(nn.Module):
    """Causal self-attention: each position gathers from itself and from earlier ones.

    `[batch, pos, d_model]` in and out. Sites: `hook_q`, `hook_k`, `hook_v` (keys and values under grouped- query
    attention with kv_heads heads) before QK-norm and rotation, `hook_rot_q`, `hook_rot_k` after them (rotary only),
    `hook_z` the heads' results before the output projection, all `[batch, pos, head, d_head]`; `hook_attn_scores` and
    `hook_pattern` `[batch, head, query, key]`, which alone force the explicit kernel.
    """

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.d_head = config.d_head
        self.split_sizes = (config.n_heads, config.kv_heads, config.kv_heads)  # heads of queries, keys, values
        # One matrix for queries, keys and values: one large product is faster than three small ones.
        self.qkv = Linear(config.d_model, sum(self.split_sizes) * config.d_head, bias=config.bias)
        self.out = Linear(config.d_model, config.d_model, bias=config.bias)
        self.q_norm = RMSNorm(config.d_head) if config.qk_norm else None
        self.k_norm = RMSNorm(config.d_head) if config.qk_norm else None
        self.pattern_dropout = Dropout(config.dropout)
        self.dropout = Dropout(config.dropout)
        self.kernel: Kernel = "auto"

    def forward(
        self,
        x: Tensor,
        rotary: tuple[Tensor, Tensor] | None = None,
        cache: KVCache | None = None,
        tap: Scope | None = None,
    ) -> Tensor:
        batch, n_pos, d_model = x.shape
        qkv = self.qkv(x).view(batch, n_pos, -1, self.d_head)  # [batch, pos, n_heads + 2·kv_heads, d_head]
        q, k, v = self._heads(qkv, rotary, tap)  # each [batch, pos, head, d_head]
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # [batch, head, pos, d_head]
        if cache is not None:
            k, v = cache.append(self.layer, k, v)  # [batch, kv_head, key, d_head]
        z = self._attend(q, k, v, tap).transpose(1, 2)  # [batch, pos, head, d_head]
        z = site(tap, "hook_z", z)
        return self.dropout(self.out(z.reshape(batch, n_pos, d_model)))  # [batch, pos, d_model]

    def _heads(
        self, qkv: Tensor, rotary: tuple[Tensor, Tensor] | None, tap: Scope | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, normalised and turned, from `[batch, pos, n_heads + 2·kv_heads, d_head]`."""
        gains = None if self.q_norm is None or self.k_norm is None else (self.q_norm.weight, self.k_norm.weight)
        if tap is None and (gains or rotary) and is_faster(qkv):
            return turned_heads(qkv, self.split_sizes, gains, rotary)
        q, k, v = qkv.split(self.split_sizes, dim=2)
        q = site(tap, "hook_q", q)
        k = site(tap, "hook_k", k)
        v = site(tap, "hook_v", v)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if rotary is not None:
            q = site(tap, "hook_rot_q", rotate(q, *rotary))
            k = site(tap, "hook_rot_k", rotate(k, *rotary))
        return q, k, v

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, tap: Scope | None) -> Tensor:
        if tap is not None and (tap.wants("hook_attn_scores") or tap.wants("hook_pattern")):
            return explicit_attention(q, k, v, self.pattern_dropout, tap)
        if self.kernel == "explicit" or (self.kernel == "auto" and self._explicit_is_faster(q, k)):
            return explicit_attention(q, k, v, self.pattern_dropout)
        return sdpa_attention(q, k, v, self.pattern_dropout)

    def _explicit_is_faster(self, q: Tensor, k: Tensor) -> bool:
        # PyTorch's fused kernel is slow on CPU in bf16, above all its backward (forward and backward of batch 16, 6
        # heads of 64, context 256 on one core: 71 ms, explicitly 28), and has none for dropout (65 ms, explicitly 37).
        slow = q.dtype == torch.bfloat16 or self.pattern_dropout.active > 0
        return q.device.type == "cpu" and slow and k.shape[2] <= EXPLICIT_CONTEXT_LIMIT
