"""Scores of heads: those of `lab.interp`, with a name and an explanation."""

from __future__ import annotations

import numpy as np

from analysis_app.analyses.head_scores import SCORES, repeated_period, repeated_scores, text_scores
from analysis_app.library import Library
from lab import interp
from lab.model import GPTConfig


def test_each_score_has_a_number_for_every_head_and_an_explanation(library: Library) -> None:
    opened = library.open("tiny")
    cache = interp.run_with_cache(opened.model, opened.tokenizer.encode("the cat sat"))
    of_text, of_repeats = text_scores(cache), repeated_scores(opened)
    assert [score.errors for score in of_text] == [None] * len(of_text), "one text is no sample"
    for score in of_repeats:
        assert score.errors is not None
        assert (score.errors > 0).all()
    for score in [*of_text, *of_repeats]:
        assert score.values.shape == (2, 2)
        assert np.isfinite(score.values).all()
        assert score.explanation == SCORES[score.name]
    assert repeated_scores(opened) is repeated_scores(opened), "computed once"


def test_a_context_too_small_for_a_repetition_has_no_period() -> None:
    small = GPTConfig(n_layers=1, n_heads=1, d_model=8, context_length=2, vocab_size=9)
    assert repeated_period(small) is None
    assert repeated_period(GPTConfig(n_layers=1, n_heads=1, d_model=8, context_length=16, vocab_size=9)) == 8
