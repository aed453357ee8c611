"""The network written down from its definition, in fp64, with plain PyTorch: what every other derivation stands on.

Weights come as a dictionary of tensors, the configuration as the dictionary that lies beside them. No kernel, no tap,
no cache, and nothing of the lab.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]
Config = Mapping[str, Any]
Edits = Mapping[str, Callable[[Tensor], Tensor]]
EPSILON = 1e-5


def activations(weights: Weights, config: Config, tokens: Tensor, edits: Edits | None = None) -> dict[str, Tensor]:
    """Every activation by TransformerLens's name without `hook_`, such as `blocks.0.attn.pattern`, and `logits`.

    `tokens` int64 `[batch, pos]`. `edits`: name → function from the activation there to what takes its place.
    """
    return _Pass(weights, config, edits or {}).run(tokens)


def nats(weights: Weights, config: Config, tokens: Tensor, targets: Tensor) -> Tensor:
    """-ln p(target) at each position, `[batch, pos]`."""
    logits = activations(weights, config, tokens)["logits"]
    return logits.logsumexp(-1) - logits.gather(-1, targets.unsqueeze(-1))[..., 0]


def unembedded(weights: Weights, config: Config, stream: Tensor) -> Tensor:
    """The logits of a residual stream `[..., d_model]`."""
    return _Pass(weights, config, {}).logits(stream)


def unembedding(weights: Weights, config: Config) -> Tensor:
    """What a normalised stream is multiplied with, `[row, d_model]`: rows behind the vocabulary stand for no token."""
    return weights["token_embedding.weight" if config["tie_embeddings"] else "unembedding.weight"]


class _Pass:
    def __init__(self, weights: Weights, config: Config, edits: Edits) -> None:
        self.w, self.c, self.edits = weights, config, edits
        self.found: dict[str, Tensor] = {}

    def at(self, name: str, x: Tensor) -> Tensor:
        x = self.edits[name](x.clone()) if name in self.edits else x
        self.found[name] = x
        return x

    def run(self, tokens: Tensor) -> dict[str, Tensor]:
        x = self.at("embed", self.w["token_embedding.weight"][tokens])
        if self.c["positions"] == "learned":
            x = x + self.at("pos_embed", self.w["position_embedding.weight"][: tokens.shape[1]].expand_as(x))
        for layer in range(self.c["n_layers"]):
            x = self.block(f"blocks.{layer}.", x)
        self.at("logits", self.logits(x))
        return self.found

    def block(self, at: str, x: Tensor) -> Tensor:
        pre = self.c["norm_position"] == "pre"
        x = self.at(f"{at}resid_pre", x)
        x = x + self.at(f"{at}attn_out", self.attention(at, self.norm(f"{at}ln1", x) if pre else x))
        x = self.at(f"{at}resid_mid", x if pre else self.norm(f"{at}ln1", x))
        x = x + self.at(f"{at}mlp_out", self.mlp(at, self.norm(f"{at}ln2", x) if pre else x))
        return self.at(f"{at}resid_post", x if pre else self.norm(f"{at}ln2", x))

    def logits(self, x: Tensor) -> Tensor:
        x = self.norm("ln_final", x) if self.c["norm_position"] == "pre" else x
        logits = (x @ unembedding(self.w, self.c).T)[..., : self.c["vocab_size"]]
        cap = self.c["logit_softcap"]
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def norm(self, name: str, x: Tensor) -> Tensor:
        if self.c["norm"] == "layernorm":
            x = x - x.mean(-1, keepdim=True)
        x = self.at(f"{name}.normalized", x / (x.pow(2).mean(-1, keepdim=True) + EPSILON).sqrt())
        return x * self.w[f"{name}.weight"] + self.w.get(f"{name}.bias", 0)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.w[f"{name}.weight"].T + self.w.get(f"{name}.bias", 0)

    def attention(self, at: str, x: Tensor) -> Tensor:
        heads, d_model = self.c["n_heads"], self.c["d_model"]
        kv_heads, d_head = self.c["n_kv_heads"] or heads, d_model // heads
        n = x.shape[1]
        q, k, v = self.linear(f"{at}attn.qkv", x).split([heads * d_head, kv_heads * d_head, kv_heads * d_head], -1)
        q = self.at(f"{at}attn.q", q.unflatten(-1, (heads, d_head)))
        k = self.at(f"{at}attn.k", k.unflatten(-1, (kv_heads, d_head)))
        v = self.at(f"{at}attn.v", v.unflatten(-1, (kv_heads, d_head)))
        if self.c["qk_norm"]:
            q, k = (self.root_mean_square(f"{at}attn.{s}_norm", y) for s, y in (("q", q), ("k", k)))
        if self.c["positions"] == "rope":
            q, k = self.at(f"{at}attn.rot_q", self.turned(q)), self.at(f"{at}attn.rot_k", self.turned(k))
        k, v = (y.repeat_interleave(heads // kv_heads, dim=2) for y in (k, v))
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(d_head)
        hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
        scores = self.at(f"{at}attn.attn_scores", scores.masked_fill(hidden, -math.inf))
        pattern = self.at(f"{at}attn.pattern", scores.softmax(-1))
        z = self.at(f"{at}attn.z", torch.einsum("bhqk,bkhd->bqhd", pattern, v))
        return self.linear(f"{at}attn.out", z.flatten(2))

    def root_mean_square(self, name: str, x: Tensor) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + EPSILON).sqrt() * self.w[f"{name}.weight"]

    def turned(self, x: Tensor) -> Tensor:
        """As complex numbers: dimension i with i + d_head/2, times e^(i·position·angle)."""
        half = x.shape[-1] // 2
        angle = self.c["rope_base"] ** (-torch.arange(half, dtype=x.dtype) / half)
        turns = torch.arange(x.shape[1], dtype=x.dtype)[:, None] * angle
        y = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(turns), turns)[:, None]
        return torch.cat([y.real, y.imag], -1)

    def mlp(self, at: str, x: Tensor) -> Tensor:
        kind = self.c["mlp"]
        if kind == "swiglu":
            gate, up = self.linear(f"{at}mlp.gate_up", x).chunk(2, -1)
            gate, up = self.at(f"{at}mlp.pre", gate), self.at(f"{at}mlp.pre_linear", up)
            hidden = gate / (1 + (-gate).exp()) * up
        else:
            x = self.at(f"{at}mlp.pre", self.linear(f"{at}mlp.up", x))
            hidden = {
                "relu": lambda: x.clamp(min=0),
                "relu2": lambda: x.clamp(min=0) ** 2,
                "gelu": lambda: x * 0.5 * (1 + torch.erf(x / math.sqrt(2))),
                "gelu_tanh": lambda: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
            }[kind]()
        return self.linear(f"{at}mlp.down", self.at(f"{at}mlp.post", hidden))
