"""What the analyses return: plain values and NumPy arrays, which travel as JSON (`analysis_app.server.answers`).

Positions, layers and heads count from 0; losses are in nats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Source:
    """Whose numbers these are, and of which tokens."""

    run: str
    step: int | None
    tokens: list[str]  # [pos] labels
    ids: list[int]  # [pos]


@dataclass(frozen=True)
class Shape:
    """What the page has to know of a model to offer it: its sizes, and the text it starts with."""

    n_layers: int
    n_heads: int
    d_model: int
    d_mlp: int
    context_length: int
    vocab_size: int
    n_parameters: int
    tokenizer: str
    default_text: str


@dataclass(frozen=True)
class Score:
    """One number per head, with that of a head which attends evenly to all it may see (None: it has none)."""

    name: str
    explanation: str
    values: Array  # [layer, head]
    chance: float | None


@dataclass(frozen=True)
class AttentionView:
    """`patterns` `[layer, head, query, key]`, or of one layer `[head, query, key]`; rows sum to 1."""

    source: Source
    layer: int | None
    head: int | None
    patterns: Array
    scores: list[Score]
    period: int | None  # of the repeated random tokens that three of the scores are measured on


@dataclass(frozen=True)
class RowView:
    """How one query of one head shares out its attention, step by step, each `[key]`."""

    source: Source
    layer: int
    head: int
    query: int
    d_head: int
    dot_products: Array
    scores: Array
    exponentials: Array
    total: float
    pattern: Array


@dataclass(frozen=True)
class AblationView:
    """How much the loss on this text rises without each part (replaced by its mean), in nats per token."""

    source: Source
    loss: float
    heads: Array  # [layer, head]
    mlps: Array  # [layer]


@dataclass(frozen=True)
class ActivationView:
    """Sizes along the residual stream, and what the MLPs' units do."""

    source: Source
    layer: int | None  # the one that was asked for: arrays then have only it
    head: int | None
    quantities: list[str]
    norms: Array  # [quantity, layer, pos] L2 norms
    cosine_names: list[str]
    cosines: Array  # [branch, layer, pos] of what it adds with the stream it adds to
    head_norms: Array  # [layer, head, pos] L2 norms of each head's share of what attention adds
    dead_share: Array  # [layer] of units that no token of this text switched on
    saturated_share: Array  # [layer] of units that every token switched on
    sites: list[str]
    edges: Array  # [edge]
    counts: Array  # [site, edge+1] below, in each bin, above
    minimum: Array  # [site]
    maximum: Array  # [site]


@dataclass(frozen=True)
class Lens:
    """The logit lens: the guess read off the stream before each layer and after the last."""

    rows: list[str]
    top_tokens: list[list[list[str]]]  # [row][pos][k]
    top_probabilities: Array  # [row, pos, k]
    target_loss: Array  # [row, pos-1]
    target_rank: Array  # [row, pos-1]
    kl_to_final: Array  # [row, pos]


@dataclass(frozen=True)
class AttributionView:
    """What each part added to the logit of the model's first guess."""

    parts: list[str]
    values: Array  # [part, pos]
    targets: list[str]  # [pos]
    logits: Array  # [pos]
    error: float  # the largest difference between a logit and the sum of its parts


@dataclass(frozen=True)
class PredictionView:
    """Entry t of the first three is about token t+1; the guesses have one more, for the token after the text."""

    source: Source
    layer: int | None  # the one that lens and attribution were asked of
    head: int | None
    uniform_loss: float  # ln(vocab_size), that of guessing
    mean_loss: float | None
    loss: Array  # [pos-1] nats
    probability: Array  # [pos-1]
    rank: Array  # [pos-1] 1 is the first guess
    top_tokens: list[list[str]]  # [pos][k]
    top_probabilities: Array  # [pos, k]
    lens: Lens
    attribution: AttributionView | None
    attribution_missing: str | None  # why there is none


@dataclass(frozen=True)
class NextView:
    """All that temperature, top-k and top-p need: the logits after one position, the largest first."""

    source: Source
    position: int
    logits: Array  # [vocab] descending
    ids: list[int]  # of the first SHOWN_CANDIDATES
    tokens: list[str]


@dataclass(frozen=True)
class Reproduction:
    """Whether the weights give the loss that was recorded when they were written."""

    run: str
    step: int | None
    recorded: float | None
    computed: float | None
    reproduces: bool | None  # None: nothing was recorded, or the probe text is gone
    explanation: str
