"""Initial weights: GPT-2's, scaled so that the loss at step 0 is ln(vocab_size), all tokens equally likely.

A model that starts above that spends its first steps unlearning its own initial weights; and a loss that starts there
is the first check of a new variant.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from lab.model.config import GPTConfig

GPT2_STD = 0.02
# The most that each of two effects may add to the loss at step 0, see `embedding_std`: together under 5 %.
LARGEST_SPREAD = 1 / 16  # of the logits, as a part of ln(vocab_size)
OWN_TOKEN_EXCESS = 0.02  # of the loss, as a part of ln(vocab_size)


def embedding_std(config: GPTConfig) -> float:
    """Standard deviation of the matrix that logits are read through: init_std, or less where the loss asks.

    Two effects lift the loss at step 0 above ln(vocab_size), both for logits = h·Wᵀ, where h, fresh from the last norm,
    has a squared length of d_model:

    1. Every logit is a random number of spread σ = std·√d_model. That costs σ²/2 nats on average, and more or
       less by chance, since the few tokens that make up most of a text may have drawn low. The std is lowered
       only where the model is wide for its vocabulary: to 0.0133 at width 384 with 65 characters, where one seed
       in a hundred would be 5 % off. GPT-2's own shapes, up to 1024 wide, stay as they are.
    2. A tied head reads h against the very embedding that h was made from. Where the blocks leave the stream
       nearly unchanged, h still points along it, and the input token's own logit is a = std·d_model
       where the others are about 0: the loss is ln(vocab_size - 1 + e^a). At width 768 with GPT-2's 0.02 a is
       15.4, and so the loss is 15.4 where ln 50257 is 10.8. Blocks leave the stream nearly unchanged
       with zero_init and with post-norm, whose first norm scales the embedding from 0.02 up to 1 a number, where a
       branch adds 0.1. Otherwise branches outweigh the embedding: GELU's of width 384 add up to 0.1 in all.

    The reduction is computed for GPT-2's std and applied to init_std as a factor, so that an init_std ten times too
    large still shows its effect.
    """
    nats = math.log(config.vocab_size)
    std = min(GPT2_STD, LARGEST_SPREAD * nats / math.sqrt(config.d_model))
    if config.tie_embeddings and (config.zero_init or config.norm_position == "post"):
        own_logit = math.log1p(config.vocab_size * math.expm1(OWN_TOKEN_EXCESS * nats))
        std = min(std, own_logit / config.d_model)
    return config.init_std * std / GPT2_STD


@torch.no_grad()
def init_weights(model: nn.Module, config: GPTConfig) -> None:
    """Draw all weights of a GPT from PyTorch's global random state; biases 0, gains 1.

    Every matrix is normal with init_std. The projections into the residual stream are scaled by 1/√(2·n_layers), so
    that the stream, which sums that many of them, does not grow with depth (GPT-2 §2.3). With zero_init they are 0.
    """
    head_std = embedding_std(config)
    for name, weight in model.named_parameters():
        part = name.rsplit(".", 2)[-2]
        if name.endswith(".bias"):
            nn.init.zeros_(weight)
        elif weight.ndim == 1:
            nn.init.ones_(weight)
        elif part in ("out", "down"):
            nn.init.normal_(weight, std=0.0 if config.zero_init else config.init_std / math.sqrt(2 * config.n_layers))
        elif part == "unembedding" or (config.tie_embeddings and part.endswith("_embedding")):
            # Positions are as large as tokens, so that neither outweighs the other.
            nn.init.normal_(weight, std=head_std)
        else:
            nn.init.normal_(weight, std=config.init_std)
