"""The GPT: embeddings, a stack of blocks, and the head that gives logits.

The residual stream `[batch, pos, d_model]` runs from the embeddings to the logits; every block reads it and adds to it
twice, once by attention (which moves information between positions) and once by an MLP (which works on each alone).
"""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor, nn

from lab.checks import check_choice
from lab.model.attention import Attention, Kernel
from lab.model.cache import KVCache
from lab.model.config import GPTConfig
from lab.model.init import init_weights
from lab.model.layers import Dropout, DropoutKernel, Rotary, make_mlp, make_norm
from lab.model.linear import Linear
from lab.model.loss import CHUNKED_VOCABULARY, LossKernel, Reduction, cross_entropy, head_logits, head_loss
from lab.model.taps import Scope, Tap, inside, site


class Block(nn.Module):
    """One layer: attention, then an MLP, each added to the residual stream `[batch, pos, d_model]`.

    Pre-norm (GPT-2): each branch reads a normalised copy, the stream itself is a plain sum. Post-norm (Vaswani et al.
    2017): each branch reads the stream, and the sum is normalised by `ln1`, `ln2`. Either way `hook_attn_out` and
    `hook_mlp_out` are what a branch adds, and `hook_resid_mid` and `hook_resid_post` the stream that the next part
    reads, which under post-norm means after the norm.
    """

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.pre_norm = config.norm_position == "pre"
        self.ln1 = make_norm(config)
        self.attn = Attention(config, layer)
        self.ln2 = make_norm(config)
        self.mlp = make_mlp(config)

    def forward(
        self,
        x: Tensor,
        rotary: tuple[Tensor, Tensor] | None = None,
        cache: KVCache | None = None,
        tap: Scope | None = None,
    ) -> Tensor:
        x = site(tap, "hook_resid_pre", x)
        branch = self.ln1(x, inside(tap, "ln1")) if self.pre_norm else x
        x = x + site(tap, "hook_attn_out", self.attn(branch, rotary, cache, inside(tap, "attn")))
        x = site(tap, "hook_resid_mid", x if self.pre_norm else self.ln1(x, inside(tap, "ln1")))
        branch = self.ln2(x, inside(tap, "ln2")) if self.pre_norm else x
        x = x + site(tap, "hook_mlp_out", self.mlp(branch, inside(tap, "mlp")))
        return site(tap, "hook_resid_post", x if self.pre_norm else self.ln2(x, inside(tap, "ln2")))


class GPT(nn.Module):
    """A decoder-only transformer (Radford et al. 2019): tokens in, a score for each possible next one out.

    Starts with initial weights (`init_weights`). `model.compile()` in place speeds up `forward` and `loss` alike; use a
    tap, or decode with a cache, under `torch.compiler.set_stance("force_eager")`.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        rows = config.padded_vocab_size
        self.token_embedding = nn.Embedding(rows, config.d_model)
        learned = config.positions == "learned"
        self.position_embedding = nn.Embedding(config.context_length, config.d_model) if learned else None
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layers))
        # Under post-norm the last block's ln2 has just normalised the stream.
        self.ln_final = make_norm(config) if config.norm_position == "pre" else None
        self.unembedding = None if config.tie_embeddings else Linear(config.d_model, rows, bias=False)
        self.rotary = Rotary(config) if config.positions == "rope" else None
        self.set_attention_kernel("auto")
        self.set_loss_kernel("auto")
        init_weights(self, config)

    def forward(
        self, tokens: Tensor, tap: Tap | None = None, cache: KVCache | None = None, head: bool = True
    ) -> Tensor:
        """Logits `[batch, pos, vocab_size]` for the token after each of `tokens` `[batch, pos]` (int64).

        A `tap` is called with every named activation (see `hook_names`), and what it returns takes its place. With a
        `cache` the tokens follow those already in it, and are appended. Raises ValueError where they are more than
        context_length or than the cache has room for. Without its `head` it returns what the head reads, the normalised
        stream `[batch, pos, d_model]`.
        """
        scope = None if tap is None else Scope(tap)
        x = self.residual(tokens, scope, cache)
        return self.unembed(x, scope) if head else self._normalized(x, scope)

    def residual(self, tokens: Tensor, tap: Scope | None = None, cache: KVCache | None = None) -> Tensor:
        """The residual stream after the last block, `[batch, pos, d_model]`: everything but the head."""
        batch, n_pos = tokens.shape
        start = 0 if cache is None else cache.length
        if cache is not None:
            cache.check_room(batch, n_pos)
        if start + n_pos > self.config.context_length:
            raise ValueError(
                f"{start + n_pos} tokens are more than context_length={self.config.context_length}: give the last ones"
            )
        x = site(tap, "hook_embed", self.token_embedding(tokens))
        if self.position_embedding is not None:
            positions = self.position_embedding.weight[start : start + n_pos].expand_as(x)
            x = x + site(tap, "hook_pos_embed", positions)
        x = self.dropout(x)
        rotary = None if self.rotary is None else self.rotary(start, n_pos)
        for i, block in enumerate(self.blocks):
            x = block(x, rotary, cache, None if tap is None else tap.inside(f"blocks.{i}"))
        if cache is not None:
            cache.advance(n_pos)
        return x

    def unembed(self, residual: Tensor, tap: Scope | None = None) -> Tensor:
        """From the residual stream `[..., d_model]` to logits `[..., vocab_size]`: last norm, head, soft-cap.

        Given the stream of an earlier layer it is the logit lens (nostalgebraist 2020).
        """
        return head_logits(
            self._normalized(residual, tap), self.head.weight, self.config.vocab_size, self.config.logit_softcap
        )

    def _normalized(self, residual: Tensor, tap: Scope | None) -> Tensor:
        return residual if self.ln_final is None else self.ln_final(residual, inside(tap, "ln_final"))

    @property
    def head(self) -> nn.Embedding | Linear:
        """What logits are read through, `[rows, d_model]`: the token embedding where the two are tied."""
        return self.token_embedding if self.unembedding is None else self.unembedding

    def loss(self, tokens: Tensor, targets: Tensor, reduction: Reduction = "mean") -> Tensor:
        """The cross-entropy of `targets` `[batch, pos]` after `tokens`, in nats per token; -1 doesn't count.

        Reductions as in `cross_entropy`: "mean" and "sum" are over the targets that count, "none" keeps `[batch, pos]`.
        Computed in fp32 whatever the logits are in. Over a large vocabulary on a CPU the logits are computed and
        discarded chunk by chunk, see `set_loss_kernel`.
        """
        if not self._chunks_the_loss(tokens.device):
            return cross_entropy(self(tokens), targets, reduction)
        x, config = self(tokens, head=False), self.config
        return head_loss(x, self.head.weight, targets, config.vocab_size, config.logit_softcap, reduction)

    def _chunks_the_loss(self, device: torch.device) -> bool:
        if self.loss_kernel == "auto":
            return device.type == "cpu" and self.config.vocab_size >= CHUNKED_VOCABULARY
        return self.loss_kernel == "chunked"

    def set_loss_kernel(self, kernel: LossKernel) -> None:
        """Choose how the loss is computed: "whole" (all logits at once), "chunked" (some positions at a time).

        "auto" takes chunks on a CPU for vocabularies of 1024 and more. All give the same numbers up to rounding. No
        part of the weights. Raises ValueError for an unknown name.
        """
        check_choice("loss kernel", kernel, get_args(LossKernel))
        self.loss_kernel: LossKernel = kernel

    def new_cache(self, batch_size: int, capacity: int | None = None, dtype: torch.dtype | None = None) -> KVCache:
        """An empty cache for decoding `batch_size` sequences of up to `capacity` positions.

        `capacity` defaults to context_length, and ValueError says that it can't be more. `dtype` defaults to what the
        model computes in here and now, autocast included.
        """
        weight = self.token_embedding.weight
        device = weight.device
        if dtype is None:
            autocast = torch.is_autocast_enabled(device.type)
            dtype = torch.get_autocast_dtype(device.type) if autocast else weight.dtype
        if capacity is None:
            capacity = self.config.context_length
        if not 1 <= capacity <= self.config.context_length:
            raise ValueError(
                f"capacity={capacity}: a cache holds between 1 and context_length="
                f"{self.config.context_length} positions"
            )
        return KVCache(self.config, batch_size, capacity, device, dtype)

    def set_attention_kernel(self, kernel: Kernel) -> None:
        """Choose how attention is computed: "sdpa" (PyTorch's fused kernel), "explicit" (matrix products), "auto".

        "auto" takes the faster one. All give the same numbers up to rounding. No part of the weights. Raises ValueError
        for an unknown name.
        """
        check_choice("attention kernel", kernel, get_args(Kernel))
        self.attention_kernel: Kernel = kernel
        for block in self.blocks:
            assert isinstance(block, Block)
            block.attn.kernel = kernel

    def set_dropout_kernel(self, kernel: DropoutKernel) -> None:
        """Choose where dropout's randomness comes from: "torch", "bytes" (one a number), or "auto", see `Dropout`.

        The choices draw different numbers from one seed. Raises ValueError for an unknown name.
        """
        check_choice("dropout kernel", kernel, get_args(DropoutKernel))
        for module in self.modules():
            if isinstance(module, Dropout):
                module.kernel = kernel

    def hook_names(self) -> list[str]:
        """Every site of this variant that a tap is called at, in the order of computation."""
        config = self.config
        pre = config.norm_position == "pre"
        rotary = ["attn.hook_rot_q", "attn.hook_rot_k"] if config.positions == "rope" else []
        gate = ["mlp.hook_pre_linear"] if config.mlp == "swiglu" else []
        attn = ["attn.hook_q", "attn.hook_k", "attn.hook_v", *rotary]
        attn += ["attn.hook_attn_scores", "attn.hook_pattern", "attn.hook_z", "hook_attn_out"]
        mlp = ["mlp.hook_pre", *gate, "mlp.hook_post", "hook_mlp_out"]
        ln1, ln2 = ["ln1.hook_normalized"], ["ln2.hook_normalized"]
        first = [*ln1, *attn] if pre else [*attn, *ln1]
        second = [*ln2, *mlp] if pre else [*mlp, *ln2]
        block = ["hook_resid_pre", *first, "hook_resid_mid", *second, "hook_resid_post"]
        return [
            "hook_embed",
            *(["hook_pos_embed"] if config.positions == "learned" else []),
            *(f"blocks.{i}.{name}" for i in range(config.n_layers) for name in block),
            *(["ln_final.hook_normalized"] if pre else []),
        ]
