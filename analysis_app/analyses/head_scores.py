"""Scores of attention heads, one number a head: on the text itself, and on random tokens written twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis_app.analyses.declaration import Array
from analysis_app.library import Opened
from lab import interp
from lab.model import GPTConfig

REPEATED_TOKENS = 32  # a period of the repeated random tokens, at most
REPEATED_BATCH = 8
SCORES = {name.replace("_", " "): measure.meaning for name, measure in interp.HEAD_MEASURES.items()}


@dataclass(frozen=True)
class Score:
    """One number per head; `chance` is the score of a head that attends evenly, None where that has none."""

    name: str
    explanation: str
    values: Array  # [layer, head]
    errors: Array | None  # standard error over the random texts; None where a single text is measured
    chance: float | None


def text_scores(cache: interp.ActivationCache) -> list[Score]:
    """The three scores that are measured on the text itself."""
    return [_score(name, found) for name, found in interp.text_scores(cache).items()]


def repeated_period(config: GPTConfig) -> int | None:
    """Length of the random sequence that is written twice; None where the context or vocabulary is too small."""
    period = min(REPEATED_TOKENS, config.context_length // 2, config.vocab_size)
    return period if period >= 2 else None


def repeated_scores(opened: Opened) -> list[Score]:
    """The three scores on random tokens written twice, where only the repetition can be predicted; cached."""
    return opened.cached("repeated_scores", lambda: _repeated_scores(opened))


def _repeated_scores(opened: Opened) -> list[Score]:
    if (period := repeated_period(opened.model.config)) is None:
        return []
    tokens = interp.repeated_random_tokens(opened.model.config.vocab_size, period, REPEATED_BATCH)
    with opened.lock:
        cache = interp.run_with_cache(opened.model, tokens, interp.HEAD_SITES)
        return [_score(name, found) for name, found in interp.repeat_scores(cache, period).items()]


def _score(name: str, found: interp.HeadScore) -> Score:
    name = name.replace("_", " ")
    errors = None if np.isnan(found.errors).all() else found.errors
    return Score(name, SCORES[name], found.values, errors, found.chance)
