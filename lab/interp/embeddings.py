"""How tokens lie to each other in the embedding: nearest neighbours, and a map of two dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.checks import check_choice
from lab.interp.arrays import Array, IntArray, to_array, to_integers
from lab.interp.forward import Tokens, plain
from lab.model import GPT

Side = Literal["input", "output"]


@dataclass(frozen=True)
class Neighbours:
    """The tokens nearest to each token asked for, nearest first: `tokens` and `cosines` `[token, k]`."""

    tokens: IntArray
    cosines: Array


def token_neighbours(model: GPT, tokens: Tokens, k: int = 10, side: Side = "input") -> Neighbours:
    """The `k` tokens (at most vocab_size - 1) whose embeddings point most nearly the same way as each of `tokens`
    `[token]`, by cosine similarity (Mikolov et al. 2013, §4).

    `side`: the embedding that reads tokens, or the one that scores the next (the same where they are tied). Untrained,
    all cosines lie around 0 ± 1/√d_model.
    """
    if k < 1:
        raise ValueError(f"k={k}: ask for at least 1 neighbour")
    weight = _embedding(model, side)
    chosen = _token_list(tokens, len(weight), weight.device)
    directions = F.normalize(weight, dim=-1)
    cosines = directions[chosen] @ directions.T
    cosines.scatter_(1, chosen.unsqueeze(1), -2.0)  # below any cosine: a token is no neighbour of itself
    top = cosines.topk(min(k, len(weight) - 1), dim=-1)
    return Neighbours(to_integers(top.indices), to_array(top.values))


@dataclass(frozen=True)
class PCABasis:
    """The directions a map is drawn in: hand the same one in for each step of a time-lapse."""

    mean: Array  # [d_model]
    directions: Array  # [component, d_model], orthonormal


@dataclass(frozen=True)
class EmbeddingMap:
    """Where each token lies on the map; see `embedding_pca`."""

    points: Array  # [token, component]
    basis: PCABasis
    explained: Array  # [component] share of the variance of these tokens along each direction


def embedding_pca(
    model: GPT, tokens: Tokens | None = None, n_components: int = 2, basis: PCABasis | None = None, side: Side = "input"
) -> EmbeddingMap:
    """Token embeddings `[token, d_model]` drawn in the few directions along which they differ most (principal
    components, Pearson 1901); all tokens by default.

    For a time-lapse fit once, on the last snapshot, and hand that `basis` in for the others: a basis fitted anew at
    each step turns and flips, and the animation shows motion that isn't there. No randomness; the sign of a direction
    is such that its largest entry is positive.
    """
    weight = _embedding(model, side)
    d_model = weight.shape[1]
    chosen = None if tokens is None else _token_list(tokens, len(weight), weight.device)
    # In double on the CPU: the covariance squares the spread of the values.
    vectors = (weight if chosen is None else weight[chosen]).double().cpu()
    if basis is None:
        basis = _fit(vectors, n_components)
    elif basis.directions.shape[-1] != d_model:
        raise ValueError(f"this basis is {basis.directions.shape[-1]} wide, the model {d_model}: fit one of that width")
    centred = vectors - torch.from_numpy(basis.mean).double()
    points = centred @ torch.from_numpy(basis.directions).double().T
    variance = (vectors - vectors.mean(0)).square().sum()
    along = (points - points.mean(0)).square().sum(0)
    return EmbeddingMap(to_array(points), basis, to_array(along / variance.clamp(min=1e-30)))


def _fit(vectors: Tensor, n_components: int) -> PCABasis:
    n_tokens, d_model = vectors.shape
    if n_tokens < 2 or not 1 <= n_components <= d_model:
        raise ValueError(
            f"{n_tokens} tokens, n_components={n_components}: principal components need at least 2 tokens "
            f"and between 1 and d_model={d_model} components"
        )
    mean = vectors.mean(0)
    centred = vectors - mean
    _, directions = torch.linalg.eigh(centred.T @ centred)  # eigenvalues ascend
    top = directions.T.flip(0)[:n_components]
    largest = top.gather(1, top.abs().argmax(dim=1, keepdim=True))
    return PCABasis(to_array(mean), to_array(top * largest.sign()))


def _embedding(model: GPT, side: Side) -> Tensor:
    """`[vocab_size, d_model]`, without the rows that only pad."""
    check_choice("side", side, get_args(Side))
    model = plain(model)
    matrix = model.head if side == "output" else model.token_embedding
    weight = matrix.weight.detach()[: model.config.vocab_size].float()
    if not bool(weight.isfinite().all()):
        raise ValueError("the embedding holds NaN or infinity: training diverged; take an earlier checkpoint")
    return weight


def _token_list(tokens: Tokens, vocab_size: int, device: torch.device) -> Tensor:
    found = torch.as_tensor(tokens, device="cpu")
    if found.ndim != 1 or not len(found) or found.is_floating_point() or found.dtype == torch.bool:
        raise ValueError(f"tokens of shape {list(found.shape)}, {found.dtype}: give a list of integer ids")
    if outside := [token for token in found.tolist() if not 0 <= token < vocab_size]:
        raise ValueError(f"token {outside[0]} is outside the vocabulary: ids go from 0 to {vocab_size - 1}")
    return found.long().to(device)
