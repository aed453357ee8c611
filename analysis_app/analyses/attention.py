"""Attention: the patterns of the heads, what each head does, and one row of a pattern step by step."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from analysis_app.analyses.declaration import Answer, analysis
from analysis_app.analyses.head_scores import repeated_period, repeated_scores, text_scores
from analysis_app.analyses.text import check_index, check_part, read_text
from analysis_app.library import Opened
from lab import interp
from lab.runs.reference_texts import encode_pattern

MAX_PATTERN_NUMBERS = 32_000_000  # of all heads together: what travels to a browser as one byte each


@analysis("attention", endpoint=True)
def attention(
    opened: Opened,
    text: str | None = None,
    layer: Annotated[int | None, Field(description="left out: all, and patterns are [layer][head][query][key]")] = None,
    head: Annotated[
        int | None, Field(description="left out: all of the layer, and patterns are [head][query][key]")
    ] = None,
    packed: bool = False,
) -> Answer:
    """Attention patterns of all heads, of a layer, or of a head (`[1, query, key]`), and what each head does.

    `packed`: patterns as uint8 in square-root steps, p = (value / 255)².
    """
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
    return {
        "source": source,
        "layer": layer,
        "head": head,
        "patterns": encode_pattern(patterns) if packed else patterns,  # [layer, head, query, key]; rows sum to 1
        "scores": [*scores, *repeated_scores(opened)],
        "period": repeated_period(config),  # of the repeated random tokens that three of the scores are measured on
    }


@analysis("attention_row")
def attention_row(opened: Opened, text: str | None, layer: int, head: int, query: int) -> Answer:
    """How one query of one head distributes its attention: scores → mask → softmax of one row of its pattern."""
    source = read_text(opened, text, at_least=2)
    config = opened.model.config
    check_index(("layer", layer, config.n_layers), ("head", head, config.n_heads), ("query", query, len(source.ids)))
    with opened.lock:
        cache = interp.run_with_cache(opened.model, source.ids, interp.ROW_SITES)
        row = interp.attention_row(opened.model, cache, layer, head, query)
    return {
        "source": source,
        "layer": layer,
        "head": head,
        "query": query,
        "d_head": config.d_head,
        "dot_products": row.dot_products,  # [key], as the next two and the pattern
        "scores": row.scores,
        "exponentials": row.exponentials,
        "total": row.total,
        "pattern": row.pattern,
    }
