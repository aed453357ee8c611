"""Attention: the patterns of the heads, what each head does, and one row of a pattern step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from analysis_app.analyses.declaration import Array, analysis
from analysis_app.analyses.head_scores import Score, repeated_period, repeated_scores, text_scores
from analysis_app.analyses.text import Source, check_index, check_part, read_text
from analysis_app.library import Opened
from lab import interp
from lab.runs.reference_texts import encode_pattern

MAX_PATTERN_NUMBERS = 32_000_000  # of all heads together: what travels to a browser as one byte each


@dataclass(frozen=True)
class AttentionView:
    """`patterns` `[layer, head, query, key]`, or of one layer `[head, query, key]`; rows sum to 1."""

    source: Source
    layer: int | None
    head: int | None
    patterns: Array
    scores: list[Score]
    period: int | None  # of the repeated random tokens that three of the scores are measured on

    def packed(self) -> AttentionView:
        """The same with patterns as uint8 in square-root steps: p = (value / 255)²."""
        return replace(self, patterns=encode_pattern(self.patterns))


@dataclass(frozen=True)
class RowView:
    """How one query of one head distributes its attention, step by step, each `[key]`."""

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


@analysis("attention", endpoint=True)
def attention(
    opened: Opened,
    text: str | None = None,
    layer: Annotated[int | None, Field(description="left out: all, and patterns are [layer][head][query][key]")] = None,
    head: Annotated[
        int | None, Field(description="left out: all of the layer, and patterns are [head][query][key]")
    ] = None,
) -> AttentionView:
    """Attention patterns of all heads, of a layer, or of a head (`[1, query, key]`), and what each head does."""
    source = read_text(opened, text, at_least=2)
    config = opened.model.config
    check_part(opened, layer, head)
    numbers = config.n_layers * config.n_heads * len(source.ids) ** 2
    if layer is None and numbers > MAX_PATTERN_NUMBERS:
        most = math.isqrt(MAX_PATTERN_NUMBERS // (config.n_layers * config.n_heads))
        raise ValueError(f"{len(source.ids):,} tokens are too many for all heads at once: shorten the text to {most:,}")
    with opened.lock:
        cache = interp.run_with_cache(opened.model, source.ids, interp.PATTERN_SITES)
        patterns = interp.attention_patterns(cache)[:, 0]
        scores = text_scores(cache)
    if layer is not None:
        patterns = patterns[layer] if head is None else patterns[layer, head : head + 1]
    return AttentionView(
        source, layer, head, patterns, [*scores, *repeated_scores(opened)], repeated_period(opened.model.config)
    )


@analysis("attention_row")
def attention_row(opened: Opened, text: str | None, layer: int, head: int, query: int) -> RowView:
    """Scores → mask → softmax of one row of one pattern."""
    source = read_text(opened, text, at_least=2)
    config = opened.model.config
    check_index(("layer", layer, config.n_layers), ("head", head, config.n_heads), ("query", query, len(source.ids)))
    with opened.lock:
        cache = interp.run_with_cache(opened.model, source.ids, interp.ROW_SITES)
        row = interp.attention_row(opened.model, cache, layer, head, query)
    steps = (row.dot_products, row.scores, row.exponentials, row.total, row.pattern)
    return RowView(source, layer, head, query, config.d_head, *steps)
