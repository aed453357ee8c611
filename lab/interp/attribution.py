"""Direct logit attribution: how much each part of the model added to one token's logit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lab.interp.arrays import Array, IntArray, to_array, to_integers
from lab.interp.cache import ActivationCache, refuse_post_norm
from lab.interp.forward import analysing, blocks, check_tokens, plain
from lab.model import GPT
from lab.model.config import NORM_EPSILON

ATTRIBUTION_SITES = ("*embed", "z", "mlp_out", "resid_post", "logits")


@dataclass(frozen=True)
class Attribution:
    """What each part of the model added to a logit; see `direct_logit_attribution`."""

    labels: list[str]  # [part] embed, pos_embed, L0H0, …, 0_attn_bias, 0_mlp_out, …, ln_final_bias
    values: Array  # [part, batch, pos]
    targets: IntArray  # [batch, pos] the token whose logit it is
    logits: Array  # [batch, pos] that logit (less the mean logit, if centred), by the model's own final norm
    centred: bool  # whether the mean over the vocabulary was taken off
    error: float  # the largest difference between that and the sum of the parts


def direct_logit_attribution(
    model: GPT,
    cache: ActivationCache,
    targets: npt.ArrayLike | None = None,
    versus: npt.ArrayLike | None = None,
    centred: bool = True,
) -> Attribution:
    """Split a token's logit at every position into what embeddings, each head, each MLP and the biases put there,
    `[part, batch, pos]` (Elhage et al. 2021; Wang et al. 2022, §3.1).

    The final residual stream is a sum and the head is linear, so the logit is one too, once the final norm's scale is
    held at its value for the whole stream. `targets` (an id, or ids that broadcast to `[batch, pos]`): by default the
    model's first guess at each position. Effects through later layers are not in it. `error` says how well the parts
    add up: some 1e-6 times the logit.

    A softmax is blind to what is added to all logits alike, so with `centred` the mean over the vocabulary is taken off
    the token's logit and off every part: what lifts all tokens supports none (as TransformerLens centres the
    unembedding). With `versus` the difference of the two tokens' logits, which leaves out what helps both, centred or
    not. Logits are those before any soft-cap.

    Raises ValueError under post-norm, where the stream is no sum. Needs `ATTRIBUTION_SITES`.
    """
    refuse_post_norm(cache.config, "direct logit attribution")
    model = plain(model)
    chosen = cache.logits.argmax(-1) if targets is None else _token_ids(cache, targets)
    with analysing(model):
        unembedding = model.head.weight[: model.config.vocab_size]  # rows beyond it stand for no token
        wanted = unembedding[chosen].float()
        if centred and versus is None:
            wanted = wanted - unembedding.float().mean(0)
        if versus is not None:
            wanted = wanted - unembedding[_token_ids(cache, versus)].float()
        labels, parts = _parts(model, cache, wanted)
        assert model.ln_final is not None
        logits = (model.ln_final(cache["resid_post", -1]).float() * wanted).sum(-1)
    values = torch.stack(parts)
    return Attribution(
        labels,
        to_array(values),
        to_integers(chosen),
        to_array(logits),
        centred,
        float((values.sum(0) - logits).abs().max()),
    )


def _parts(model: GPT, cache: ActivationCache, wanted: Tensor) -> tuple[list[str], list[Tensor]]:
    """Each part's dot product with `wanted` `[batch, pos, d_model]` as seen through the frozen final norm."""
    config = cache.config
    norm = model.ln_final
    assert norm is not None
    direction = wanted * norm.weight.float()
    stream = cache["resid_post", -1].float()
    if config.norm == "layernorm":
        # Taking the mean off every part is the same as taking it off the direction once.
        direction = direction - direction.mean(-1, keepdim=True)
        spread = stream.var(-1, unbiased=False, keepdim=True)
    else:
        spread = stream.square().mean(-1, keepdim=True)
    direction = direction / (spread + NORM_EPSILON).sqrt()

    labels = ["embed", *(["pos_embed"] if config.positions == "learned" else [])]
    parts = [(cache[label].float() * direction).sum(-1) for label in labels]
    for layer, block in enumerate(blocks(model)):
        out = block.attn.out.weight.float().view(config.d_model, config.n_heads, config.d_head)
        reading = torch.einsum("bpd,dhe->bphe", direction, out)
        labels += [f"L{layer}H{head}" for head in range(config.n_heads)]
        parts += (reading * cache["z", layer].float()).sum(-1).unbind(-1)
        if block.attn.out.bias is not None:
            labels.append(f"{layer}_attn_bias")
            parts.append(direction @ block.attn.out.bias.float())
        labels.append(f"{layer}_mlp_out")
        parts.append((cache["mlp_out", layer].float() * direction).sum(-1))
    shift = getattr(norm, "bias", None)
    if shift is not None:
        labels.append("ln_final_bias")
        parts.append(wanted @ shift.float())
    return labels, parts


def _token_ids(cache: ActivationCache, ids: npt.ArrayLike) -> Tensor:
    """`ids` broadcast to `[batch, pos]`, checked as tokens are."""
    try:
        full = np.broadcast_to(np.asarray(ids), cache.shape)
    except ValueError:
        raise ValueError(
            f"targets of shape {list(np.shape(ids))} don't fit the cache's {list(cache.shape)} [batch, pos]"
        ) from None
    return check_tokens(cache.config, full).to(cache.tokens.device)
