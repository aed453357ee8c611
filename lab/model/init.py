"""Initial weights: GPT-2's, and the rule that every model starts by knowing nothing.

Knowing nothing means a loss of ln(vocab_size): all tokens equally likely. A model that starts above that
spends its first steps unlearning its own initial weights, and a loss that starts there is the first check
that all is well.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from lab.model.config import GPTConfig

GPT2_STD = 0.02
# Of ln(vocab_size), how much each of the two effects below may add to the loss at step 0. Together under 5 %.
ALLOWED_EXCESS = 0.02


def embedding_std(config: GPTConfig) -> float:
    """Standard deviation of the matrix that the logits are read through: init_std, smaller where the loss
    asks for it.

    Two effects lift the loss at step 0 above ln(vocab_size), both for logits = h·Wᵀ, where h, fresh from the
    last norm, has a squared length of d_model:

    1. Every logit is a random number of variance σ² = std²·d_model, which costs σ²/2. It asks for a smaller
       std only where the model is wide for its vocabulary (0.0148 instead of 0.02 at width 768 with 65
       characters).
    2. A tied head reads h against the very embedding that h was made from. Where the blocks leave the stream
       nearly as they found it, h still points along it, and the input token's own logit is a = std·d_model,
       not 0: it takes e^a of the e^a + vocab_size - 1 to be shared. At width 768 with GPT-2's 0.02 and
       zero-initialised blocks a is 15.4, and so the loss is 15.4 where ln 50257 is 10.8. Blocks leave the
       stream as they found it with zero_init, with post-norm (each norm blows the embedding up to a length
       that a branch's output, 0.1 a number, can't turn) and with swiglu (a product of two small numbers: a
       branch's output is 3 times smaller than GELU's).

    The factor is found for GPT-2's std and applied to init_std, so that an init_std ten times too large still
    does the harm it is expected to do.
    """
    nats = ALLOWED_EXCESS * math.log(config.vocab_size)
    std = min(GPT2_STD, math.sqrt(2 * nats / config.d_model))
    if config.tie_embeddings and (
        config.zero_init or config.norm_position == "post" or config.mlp == "swiglu"
    ):
        own_logit = math.log1p(config.vocab_size * math.expm1(nats))
        std = min(std, own_logit / config.d_model)
    return config.init_std * std / GPT2_STD


@torch.no_grad()
def init_weights(model: nn.Module, config: GPTConfig) -> None:
    """Draw all weights of a GPT anew, from PyTorch's global random state; biases 0, gains 1.

    Every matrix is normal with init_std. The projections into the residual stream are scaled by
    1/√(2·n_layers): the stream sums that many of them, and its size shall not grow with depth (GPT-2 §2.3).
    With zero_init they are 0.
    """
    head_std = embedding_std(config)
    for name, weight in model.named_parameters():
        part = name.rsplit(".", 2)[-2]
        if name.endswith(".bias"):
            nn.init.zeros_(weight)
        elif weight.ndim == 1:
            nn.init.ones_(weight)
        elif part in ("out", "down"):
            nn.init.normal_(
                weight, std=0.0 if config.zero_init else config.init_std / math.sqrt(2 * config.n_layers)
            )
        elif part == "unembedding" or (config.tie_embeddings and part.endswith("_embedding")):
            # Positions as large as tokens: neither drowns the other.
            nn.init.normal_(weight, std=head_std)
        else:
            nn.init.normal_(weight, std=config.init_std)
