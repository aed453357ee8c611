"""The MLP's hidden units: which never fire and which always do, what each fires at most, and histograms of any
activation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lab.interp.ablation import Progress
from lab.interp.arrays import Array, IntArray, to_array, to_integers
from lab.interp.cache import ActivationCache, estimate_bytes, run_with_cache
from lab.interp.forward import Tokens, check_tokens, plain
from lab.interp.taps import LOGITS, Names
from lab.model import GPT

UNIT_SITES = ("mlp.pre",)
EXAMPLE_SITES = ("mlp.pre", "mlp.post")
BYTES_AT_ONCE = 2**24  # of activations, while looking for examples: as many sequences a forward pass as fit in
HISTOGRAM_SITES = ("resid_post", "attn_out", "mlp.post", "mlp_out")


@dataclass(frozen=True)
class UnitActivity:
    """How often each MLP unit is on; see `unit_activity`."""

    on_rate: Array  # [layer, unit]: share of tokens at which the unit is on
    dead_share: Array  # [layer]: share of units that were never on
    saturated_share: Array  # [layer]: share of units that were never off
    n_tokens: int  # over which this was counted: a unit that is on once in 1000 tokens looks dead in 100


def unit_activity(cache: ActivationCache) -> UnitActivity:
    """Dead and saturated units of each layer's MLP.

    A unit is on where its activation function's input (`mlp.hook_pre`; with swiglu the gate's) is above 0. A
    dead one is on at no token: of ReLU² it passes on nothing and no gradient comes back to it, of GELU and
    SiLU at most a trickle. A saturated one is on at every token: it no longer chooses, which leaves it all
    but linear. On a short text some look like either by chance: compare over training rather than with 0.
    """
    on = cache.stack("mlp.pre") > 0
    rate = on.float().mean(dim=(1, 2))
    n_tokens = on.shape[1] * on.shape[2]
    flat = on.flatten(1, 2)
    dead, saturated = (~flat.any(dim=1)).float(), flat.all(dim=1).float()
    return UnitActivity(to_array(rate), to_array(dead.mean(1)), to_array(saturated.mean(1)), n_tokens)


@dataclass(frozen=True)
class UnitExamples:
    """Where in some text each MLP unit is most active; see `unit_examples`."""

    values: Array  # [layer, unit, k] its activation there, the largest first
    sequences: IntArray  # [layer, unit, k] which sequence
    positions: IntArray  # [layer, unit, k] and where in it
    on_rate: Array  # [layer, unit] share of all tokens at which the unit is on
    n_tokens: int  # that were read


def unit_examples(model: GPT, tokens: Tokens, k: int = 10, progress: Progress | None = None) -> UnitExamples:
    """The `k` tokens of `tokens` `[sequence, pos]` at which each unit of each MLP is most active: what it seems to
    look for (Zeiler and Fergus 2014, §4; Geva et al. 2021, §3).

    The activation is `mlp.hook_post`, what the unit hands on; on: as in `unit_activity`. The largest values show
    one end of what a unit does: look at ordinary ones too before naming it. Reads the text once, some sequences a
    forward pass, after each of which `progress(done, of)` is called.
    """
    if k < 1:
        raise ValueError(f"k={k}: ask for at least 1 example")
    model = plain(model)
    checked = check_tokens(model.config, tokens)
    n_sequences, n_pos = checked.shape
    k = min(k, n_sequences * n_pos)
    batches = checked.split(max(1, BYTES_AT_ONCE // estimate_bytes(model, 1, n_pos, EXAMPLE_SITES)))
    best = places = on = torch.zeros(0)
    for i, batch in enumerate(batches):
        cache = run_with_cache(model, batch, EXAMPLE_SITES)
        active = (cache.stack("mlp.pre") > 0).sum(dim=(1, 2))
        values = cache.stack("mlp.post").float().flatten(1, 2).transpose(1, 2)  # [layer, unit, token]
        here = torch.arange(values.shape[-1], device=values.device) + i * len(batches[0]) * n_pos
        where = here.expand_as(values)
        if i:
            values, where, active = torch.cat([best, values], -1), torch.cat([places, where], -1), on + active
        best, order = values.topk(min(k, values.shape[-1]), dim=-1)
        places, on = where.gather(-1, order), active
        if progress is not None:
            progress(i + 1, len(batches))
    return UnitExamples(
        values=to_array(best),
        sequences=to_integers(places // n_pos),
        positions=to_integers(places % n_pos),
        on_rate=to_array(on.float() / checked.numel()),
        n_tokens=checked.numel(),
    )


def linear_edges(low: float = -8.0, high: float = 8.0, bins: int = 64) -> Array:
    """Edges of equally wide bins, `[bins+1]`: the default suits activations, which norms keep within some
    units of 0."""
    if not low < high or bins < 1:
        raise ValueError(f"low={low}, high={high}, bins={bins}: low must be below high, bins at least 1")
    return np.linspace(low, high, bins + 1, dtype=np.float32)


def symmetric_log_edges(smallest: float = 1e-8, largest: float = 1e2, per_decade: int = 4) -> Array:
    """Edges that grow by powers of ten away from 0 on both sides, with one bin around 0: for gradients and
    weights, whose sizes lie orders of magnitude apart."""
    if not 0 < smallest < largest or per_decade < 1:
        raise ValueError(
            f"smallest={smallest}, largest={largest}, per_decade={per_decade}: 0 < smallest < largest, "
            f"per_decade at least 1"
        )
    decades = np.log10(largest / smallest)
    positive = np.geomspace(smallest, largest, round(decades * per_decade) + 1)
    return np.concatenate([-positive[::-1], positive]).astype(np.float32)


def histogram(x: Tensor, edges: npt.ArrayLike) -> IntArray:
    """How many of x's numbers lie below the edges, in each bin, and above: `[len(edges)+1]`.

    A number on an edge counts to the bin above it. Counted on x's device: what travels are the counts. Raises
    ValueError for NaN, and for edges that don't grow.
    """
    limits = torch.tensor(np.asarray(edges, dtype=np.float32))
    if limits.ndim != 1 or len(limits) < 2 or not bool((limits.diff() > 0).all()):
        raise ValueError("the edges of a histogram must be at least 2 numbers, each above the one before")
    values = x.detach().float().flatten()
    if values.isnan().any():
        raise ValueError("there are NaN among the numbers: no bin is theirs")
    counts = torch.bincount(torch.bucketize(values, limits.to(values.device), right=True), minlength=len(limits) + 1)
    return to_integers(counts)


@dataclass(frozen=True)
class Histograms:
    """Counts of several activations over the same edges."""

    labels: list[str]  # full site names
    edges: Array  # [edge]
    counts: IntArray  # [site, edge+1]: below the edges, in each bin, above
    minimum: Array  # [site]
    maximum: Array  # [site]


def activation_histograms(
    cache: ActivationCache, names: Names = HISTOGRAM_SITES, edges: npt.ArrayLike | None = None
) -> Histograms:
    """Histograms of recorded activations, `[site, bin]`, over edges that stay the same whatever the step, so
    that pictures of different steps compare.

    Default edges: `linear_edges()`. What lies outside is counted too, with the least and largest value
    beside. Not for attention scores, which are -inf where masked, nor logits.
    """
    chosen = cache.sites.select(names)
    if any(name.endswith("hook_attn_scores") or name == LOGITS for name in chosen):
        raise ValueError("no histograms of attention scores, -inf where masked, nor of logits")
    limits = linear_edges() if edges is None else np.asarray(edges, dtype=np.float32)
    found = [cache[name] for name in chosen]
    return Histograms(
        labels=chosen,
        edges=limits,
        counts=np.stack([histogram(x, limits) for x in found]),
        minimum=to_array(torch.stack([x.min() for x in found])),
        maximum=to_array(torch.stack([x.max() for x in found])),
    )
