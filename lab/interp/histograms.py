"""Histograms of activations, gradients and weights over edges that stay the same from step to step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lab.interp.arrays import Array, IntArray, to_array, to_integers
from lab.interp.cache import ActivationCache
from lab.interp.taps import LOGITS, Names

HISTOGRAM_SITES = ("resid_post", "attn_out", "mlp.post", "mlp_out")


def linear_edges(low: float = -8.0, high: float = 8.0, bins: int = 64) -> Array:
    """Edges of equally wide bins, `[bins+1]`: the default suits activations, which norms keep near 0."""
    if not low < high or bins < 1:
        raise ValueError(f"low={low}, high={high}, bins={bins}: low must be below high, bins at least 1")
    return np.linspace(low, high, bins + 1, dtype=np.float32)


def symmetric_log_edges(smallest: float = 1e-8, largest: float = 1e2, per_decade: int = 4) -> Array:
    """Edges that grow by powers of ten away from 0 on both sides, with one bin around 0: for gradients and weights,
    whose sizes lie orders of magnitude apart."""
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
        raise ValueError("the numbers hold NaN, which falls into no bin")
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
    """Histograms of recorded activations, `[site, bin]`, over edges that stay the same whatever the step, so that
    pictures of different steps compare.

    Default edges: `linear_edges()`. What lies outside is counted too, with the least and largest value beside. Not for
    attention scores, which are -inf where masked, nor logits.
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
