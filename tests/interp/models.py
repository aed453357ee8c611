"""Models for these tests: with weights large enough that every part matters, and one whose weights are set by
hand.
"""

from __future__ import annotations

import functools

import torch

from lab.model import GPT, GPTConfig
from lab.model.gpt import Block

CONTEXT = 16


@functools.cache
def lively(config: GPTConfig, seed: int = 0) -> GPT:
    """A model far from its start: at initialisation branches add hardly anything (nothing, with zero_init),
    biases are 0 and gains 1, and half of all mistakes would pass."""
    model = GPT(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_gain = parameter.ndim == 1 and name.endswith("weight")
            parameter.copy_(1 + 0.3 * noise if is_gain else 0.3 * noise)
    return model


def random_tokens(config: GPTConfig, batch: int = 2, n_pos: int = 12, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(config.vocab_size, (batch, n_pos), generator=generator)


def induction_model(vocab_size: int = 16, period: int = 16) -> GPT:
    """Two layers of one head each, MLPs silent, that copy what followed the last time (Elhage et al. 2021).

    The stream has room for three one-hot vectors: this token, this position, and the token before, which
    layer 0 writes by attending one position back. Layer 1 looks for positions whose token before is this one
    and copies their token, which tied embeddings then predict. It shuns position 0, which has no token before
    it and so wrote down its own.
    """
    n_pos = 2 * period
    width = vocab_size + n_pos + vocab_size
    config = GPTConfig(
        n_layers=2, n_heads=1, d_model=width, context_length=n_pos, vocab_size=vocab_size,
        norm="rmsnorm", bias=False,
    )  # fmt: skip
    model = GPT(config)
    token, position = slice(0, vocab_size), slice(vocab_size, vocab_size + n_pos)
    before = slice(vocab_size + n_pos, width)
    with torch.no_grad():
        for block in model.blocks:
            assert isinstance(block, Block)
            block.mlp.down.weight.zero_()
            block.attn.qkv.weight.zero_()
            block.attn.out.weight.zero_()
        model.token_embedding.weight.zero_()[:, token] = torch.eye(vocab_size)
        assert model.position_embedding is not None
        model.position_embedding.weight.zero_()[:, position] = torch.eye(n_pos)
        here, sharp = torch.eye(width), 6.0
        for i, (query, key, target) in enumerate([(position, position, before), (token, before, token)]):
            block = model.blocks[i]
            assert isinstance(block, Block)
            q, k, v = block.attn.qkv.weight.chunk(3)
            shift = 1 if i == 0 else 0  # layer 0: the key of position t answers the query of t+1
            size = query.stop - query.start
            q[:size] = sharp * here[query]
            k[shift:size] = sharp * here[key][: size - shift]
            v[:vocab_size] = here[token]
            block.attn.out.weight[target, :vocab_size] = (1 + 2 * i) * torch.eye(vocab_size)
            if i == 1:
                q[size] = sharp * here[token].sum(0)
                k[size] = -sharp * here[position.start]
        model.ln_final.weight.fill_(3.0)  # type: ignore[union-attr, operator]
    return model
