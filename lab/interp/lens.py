"""The logit lens: what the model would predict if it stopped after each layer (nostalgebraist 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.interp.arrays import Array, IntArray, to_array, to_integers
from lab.interp.cache import ActivationCache
from lab.interp.forward import analysing, check_index, plain
from lab.interp.predictions import ranks
from lab.model import GPT

LENS_SITES = ("resid_pre", "resid_post")


@dataclass(frozen=True)
class LogitLens:
    """Predictions from the residual stream, one row before each layer and one after the last; see `logit_lens`."""

    labels: list[str]  # [row] 0_pre, 1_pre, …, final_post
    top_tokens: IntArray  # [row, batch, pos, k] best first
    top_probabilities: Array  # [row, batch, pos, k]
    target_loss: Array  # [row, batch, pos-1] nats, of the token that came
    target_rank: IntArray  # [row, batch, pos-1]; 1 is the first guess
    kl_to_final: Array  # [row, batch, pos] nats; 0 in the last row


def logit_lens(model: GPT, cache: ActivationCache, top_k: int = 5) -> LogitLens:
    """Unembed the residual stream before each layer and after the last: how the prediction at each position forms
    (nostalgebraist 2020).

    The final norm is computed on each row, as a stream of another size needs another scale; the soft-cap, where there
    is one, applies too. So the last row is the model's own output. `kl_to_final` is KL(final ‖ row), how far a row
    still is from that. Under post-norm there is no final norm, and each row has just been normalised by the block
    before (but not the first). Near the start of training all rows but the last mean little. Needs `resid_pre` and
    `resid_post`.
    """
    if top_k < 1:
        raise ValueError(f"top_k={top_k}: ask for at least 1 guess")
    n_layers = cache.config.n_layers
    targets = cache.tokens[:, 1:]
    final = _log_probabilities(model, cache, n_layers)
    tokens, probabilities, losses, places, divergences = [], [], [], [], []
    for row in range(n_layers + 1):
        logs = final if row == n_layers else _log_probabilities(model, cache, row)
        top = logs.topk(min(top_k, logs.shape[-1]), dim=-1)
        tokens.append(to_integers(top.indices))
        probabilities.append(to_array(top.values.exp()))
        losses.append(to_array(-logs[:, :-1].gather(-1, targets.unsqueeze(-1)).squeeze(-1)))
        places.append(to_integers(ranks(logs[:, :-1], targets)))
        divergences.append(to_array((final.exp() * (final - logs)).sum(-1)))
    return LogitLens(
        labels=[*(f"{layer}_pre" for layer in range(n_layers)), "final_post"],
        top_tokens=np.stack(tokens),
        top_probabilities=np.stack(probabilities),
        target_loss=np.stack(losses),
        target_rank=np.stack(places),
        kl_to_final=np.stack(divergences),
    )


def lens_logits(model: GPT, cache: ActivationCache, row: int) -> Tensor:
    """One row of the logit lens in full, `[batch, pos, vocab_size]`: before layer `row`, or after the last where it is
    n_layers; -1 is the last row."""
    row = check_index("lens row", row, cache.config.n_layers + 1)
    last = row == cache.config.n_layers
    residual = cache["resid_post", -1] if last else cache["resid_pre", row]
    model = plain(model)
    with analysing(model):
        return model.unembed(residual)


def _log_probabilities(model: GPT, cache: ActivationCache, row: int) -> Tensor:
    return torch.log_softmax(lens_logits(model, cache, row).float(), dim=-1)
