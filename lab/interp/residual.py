"""How large the residual stream is and what each branch adds: norms and directions per layer and token."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from lab.interp.arrays import Array, to_array
from lab.interp.cache import ActivationCache
from lab.interp.forward import analysing, blocks, plain
from lab.model import GPT

WRITING_SITES = ("z",)
RESIDUAL_SITES = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")


@dataclass(frozen=True)
class ResidualMap:
    """One number per layer and token: `values` `[quantity, layer, batch, pos]`, one of `labels` for each quantity."""

    labels: list[str]
    values: Array


def residual_norms(cache: ActivationCache) -> ResidualMap:
    """How long the residual stream's vectors are before, between and after the branches of each layer, and what
    attention and MLP add: the L2 norm, quantities in order of computation (`RESIDUAL_SITES`).

    Divide by √d_model for the root mean square. The first position often stands out tenfold (an attention sink): leave
    it out of averages. `resid_post` of a layer is `resid_pre` of the next. Under post-norm mid and post are after the
    norm, hence nearly the same length everywhere.
    """
    norms = [cache.stack(name).float().norm(dim=-1) for name in RESIDUAL_SITES]
    return ResidualMap(list(RESIDUAL_SITES), to_array(torch.stack(norms)))


def branch_cosines(cache: ActivationCache) -> ResidualMap:
    """The direction of what each branch adds against the stream it adds to, quantities `attn_out` and `mlp_out`: from
    -1 (erases it) over 0 (writes somewhere else) to 1 (reinforces it).

    0 also where a branch adds nothing at all, as a zero-initialised one does at first.
    """
    pairs = {"attn_out": "resid_pre", "mlp_out": "resid_mid"}
    cosines = [
        F.cosine_similarity(cache.stack(branch).float(), cache.stack(stream).float(), dim=-1)
        for branch, stream in pairs.items()
    ]
    return ResidualMap(list(pairs), to_array(torch.stack(cosines)))


def head_norms(model: GPT, cache: ActivationCache) -> Array:
    """How much each head writes: the L2 norm of its share of what its attention adds, `[layer, batch, head, pos]`.

    The output projection is linear, so what attention adds is the sum of the heads' shares and its bias (Elhage et al.
    2021, "attention heads as independent and additive"). Norms of vectors do not add up as the vectors do. Under
    post-norm this is before the norm. Needs `WRITING_SITES`.
    """
    config, found = cache.config, []
    with analysing(model):
        for layer, block in enumerate(blocks(plain(model))):
            out = block.attn.out.weight.float().view(config.d_model, config.n_heads, config.d_head)
            # |W z|² = z · (WᵀW) z: a head's share is never made, d_model numbers a token and head.
            gram = torch.einsum("dhe,dhf->hef", out, out)
            z = cache["z", layer].float()
            found.append(torch.einsum("bphe,hef,bphf->bhp", z, gram, z).clamp(min=0).sqrt())
    return to_array(torch.stack(found))
