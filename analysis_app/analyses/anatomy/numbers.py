"""An activation summarised: statistics, norms, and a picture of some of its numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analysis_app.analyses.declaration import Array

STRIP = 16  # numbers of a vector that the small pictures show, evenly picked
PICTURE = 192  # and the large ones


@dataclass(frozen=True)
class Numbers:
    """Statistics over all positions and numbers, and the L2 norm at each position."""

    mean: float
    std: float
    minimum: float
    maximum: float
    norms: Array  # [pos]
    dims: list[int]  # which numbers `picture` shows
    picture: Array  # [dim, pos]


def numbers_of(x: Tensor, most: int, largest: bool = False) -> Numbers:
    """The numbers of `x` `[pos, width]`; `picture` shows at most `most` of each vector, or the `largest` ones."""
    x = x.float()
    width = x.shape[-1]
    dims = np.unique(np.linspace(0, width - 1, min(most, width)).round().astype(int)).tolist()
    shown = x.topk(min(most, width), dim=-1).values if largest else x[:, dims]
    finite = x[x.isfinite()]
    return Numbers(
        mean=float(finite.mean()),
        std=float(finite.std(correction=0)),
        minimum=float(finite.min()),
        maximum=float(finite.max()),
        norms=torch.linalg.vector_norm(x.masked_fill(~x.isfinite(), 0), dim=-1).cpu().numpy(),
        dims=[] if largest else dims,
        picture=shown.T.contiguous().cpu().numpy(),
    )
