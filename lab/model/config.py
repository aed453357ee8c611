"""The shape of a GPT and its switches: one validated dataclass, the model's only input.

The default is a small GPT-2 (Radford et al. 2019); every modern part is a switch of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from lab.checks import is_integer, is_number

Positions = Literal["learned", "rope", "none"]
Norm = Literal["layernorm", "rmsnorm"]
NormPosition = Literal["pre", "post"]
MLPKind = Literal["gelu", "gelu_tanh", "swiglu", "relu2", "relu"]

_CHOICES = {"positions": Positions, "norm": Norm, "norm_position": NormPosition, "mlp": MLPKind}
_ROPE_BASE = 10000.0
NORM_EPSILON = 1e-5  # GPT-2's; keeps a vector of zeros from dividing by zero


@dataclass(frozen=True)
class GPTConfig:
    """Everything that decides a GPT's architecture and its initial weights.

    Raises ValueError at construction, naming every bad setting, its value and a remedy. To change a setting use
    `dataclasses.replace(config, n_layers=6)`, which validates again.

    Args:
        n_layers: Blocks, each attention followed by an MLP.
        n_heads: Attention heads per block; must divide d_model.
        n_kv_heads: Heads of keys and values (grouped-query attention, Ainslie et al. 2023); must divide n_heads. None:
            as many as n_heads (multi-head attention). 1: multi-query attention. Fewer make a smaller KV cache.
        d_model: Width of the residual stream.
        d_mlp: Hidden width of the MLP. None: 4·d_model, or 8/3·d_model for swiglu, whose third matrix then costs
            nothing.
        context_length: The most positions the model can look at, in tokens.
        vocab_size: Number of token ids.
        positions: How the order of tokens is told: a learned vector per position (GPT-2), rotary (Su et al. 2021),
            none.
        norm: LayerNorm (Ba et al. 2016), or RMSNorm (Zhang and Sennrich 2019), which leaves out the mean and the shift.
        norm_position: pre: norms inside the branches, the residual stream is a plain sum (GPT-2). post: norms on the
            stream after each sum, none at the end (Vaswani et al. 2017); harder to train when deep.
        mlp: gelu (erf form), gelu_tanh (GPT-2's approximation, 2.4 times slower eagerly on CPU), swiglu (Shazeer 2020),
            relu2 (squared ReLU, So et al. 2021), relu (Vaswani et al. 2017; OPT).
        qk_norm: RMSNorm on each head's queries and keys, which bounds the attention scores (Henry et al. 2020).
        tie_embeddings: One matrix both embeds tokens and scores the next one (Press and Wolf 2017).
        bias: Biases in the linear layers and LayerNorms.
        dropout: Probability of dropping embeddings, attention weights and branch outputs, in training only.
        logit_softcap: Squash logits into (-cap, cap) by cap·tanh(logits/cap) (Gemma 2, 2024). None: don't.
        zero_init: Start the projections into the residual stream at zero, so that each block begins as the identity.
        init_std: Standard deviation of the initial weights (GPT-2: 0.02).
        rope_base: Base of the rotary wavelengths; larger turns slower. Only with positions: rope.
        pad_vocab_to: Round the rows of the embedding up to this multiple (64 suits tensor cores). The rows beyond
            vocab_size stand for no token: their logits are cut off.
    """

    n_layers: int = 4
    n_heads: int = 4
    n_kv_heads: int | None = None
    d_model: int = 128
    d_mlp: int | None = None
    context_length: int = 256
    vocab_size: int = 50257
    positions: Positions = "learned"
    norm: Norm = "layernorm"
    norm_position: NormPosition = "pre"
    mlp: MLPKind = "gelu"
    qk_norm: bool = False
    tie_embeddings: bool = True
    bias: bool = True
    dropout: float = 0.0
    logit_softcap: float | None = None
    zero_init: bool = False
    init_std: float = 0.02
    rope_base: float = _ROPE_BASE
    pad_vocab_to: int = 1

    def __post_init__(self) -> None:
        # Shapes are compared only once every value is of the right kind.
        problems = list(self._bad_values()) or list(self._bad_combinations())
        if problems:
            raise ValueError("\n".join(problems))

    @property
    def d_head(self) -> int:
        """Width of one attention head: d_model / n_heads."""
        return self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values, resolved: n_kv_heads, or n_heads where that is None."""
        return self.n_kv_heads or self.n_heads

    @property
    def mlp_width(self) -> int:
        """Hidden width of the MLP, resolved: d_mlp, or the default for this kind of MLP.

        SwiGLU has three matrices where the others have two, so 8/3·d_model (to the nearest multiple of 8) costs as many
        parameters as 4·d_model there (Shazeer 2020, §3).
        """
        if self.d_mlp is not None:
            return self.d_mlp
        return max(8, 8 * round(self.d_model / 3)) if self.mlp == "swiglu" else 4 * self.d_model

    @property
    def padded_vocab_size(self) -> int:
        """Rows of the embedding: vocab_size rounded up to a multiple of pad_vocab_to."""
        return math.ceil(self.vocab_size / self.pad_vocab_to) * self.pad_vocab_to

    def _bad_values(self) -> Iterator[str]:
        for name in ("n_layers", "n_heads", "n_kv_heads", "d_model", "d_mlp", "context_length", "pad_vocab_to"):
            value = getattr(self, name)
            if value is None and name in ("n_kv_heads", "d_mlp"):
                continue
            if not is_integer(value) or value < 1:
                yield f"{name}={value!r}: must be a whole number of at least 1"
        if not is_integer(self.vocab_size) or self.vocab_size < 2:
            yield f"vocab_size={self.vocab_size!r}: must be a whole number of at least 2"
        for name, literal in _CHOICES.items():
            value, choices = getattr(self, name), get_args(literal)
            if value not in choices:
                yield f"{name}={value!r}: choose one of {', '.join(choices)}"
        for name in ("qk_norm", "tie_embeddings", "bias", "zero_init"):
            if not isinstance(getattr(self, name), bool):
                yield f"{name}={getattr(self, name)!r}: must be true or false"
        if not is_number(self.dropout) or not 0 <= self.dropout < 1:
            yield f"dropout={self.dropout!r}: must lie in [0, 1), for example 0.2"
        if self.logit_softcap is not None and not (is_number(self.logit_softcap) and self.logit_softcap > 0):
            yield f"logit_softcap={self.logit_softcap!r}: must be above 0 (for example 15), or null for none"
        if not is_number(self.init_std) or self.init_std <= 0:
            yield f"init_std={self.init_std!r}: must be above 0 (GPT-2: 0.02)"
        if not is_number(self.rope_base) or self.rope_base <= 1:
            yield f"rope_base={self.rope_base!r}: must be above 1 (usual: 10000)"

    def _bad_combinations(self) -> Iterator[str]:
        if self.d_model % self.n_heads:
            near = self.d_model // self.n_heads * self.n_heads
            fits = " or ".join(str(width) for width in (near, near + self.n_heads) if width)
            yield f"d_model={self.d_model} is not divisible by n_heads={self.n_heads}: take d_model {fits}"
        elif self.positions == "rope" and self.d_head % 2:
            yield (
                f"positions='rope' turns pairs of dimensions, but d_model/n_heads = {self.d_head} is odd: "
                f"take an even width per head"
            )
        if self.n_heads % self.kv_heads:
            fits = ", ".join(str(n) for n in range(1, self.n_heads + 1) if self.n_heads % n == 0)
            yield f"n_kv_heads={self.n_kv_heads} does not divide n_heads={self.n_heads}: take one of {fits}"
        if self.rope_base != _ROPE_BASE and self.positions != "rope":
            yield (
                f"rope_base={self.rope_base} has no effect with positions={self.positions!r}: "
                f"set positions: rope, or leave rope_base out"
            )
