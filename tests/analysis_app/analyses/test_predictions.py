"""Predictions are those of `lab.interp` on the same model and tokens."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis_app.analyses.predictions import next_token, predictions
from analysis_app.analyses.token_labels import labels
from analysis_app.library import Library
from lab import interp

TEXT = "the cat sat"


def test_predictions_are_those_of_interp(library: Library, loaded) -> None:
    model, tokenizer = loaded
    cache = interp.run_with_cache(model, tokenizer.encode(TEXT))
    expected, lens = interp.token_predictions(cache, 10), interp.logit_lens(model, cache)
    found = predictions(library.open("tiny"), text=TEXT)
    np.testing.assert_allclose(found["loss"], expected.loss[0], atol=1e-6)
    assert found["mean_loss"] == pytest.approx(float(expected.loss.mean()))
    assert found["uniform_loss"] == pytest.approx(math.log(tokenizer.vocab_size))
    np.testing.assert_allclose(found["lens"]["kl_to_final"], lens.kl_to_final[:, 0], atol=1e-6)
    assert found["top_tokens"][0][0] == labels(tokenizer, expected.top_tokens[0, 0, :1].tolist())[0]
    assert found["attribution"] is not None
    np.testing.assert_allclose(found["attribution"]["values"].sum(0), found["attribution"]["logits"], atol=1e-4)


def test_next_token_is_the_softmax_of_the_same_position(library: Library, loaded) -> None:
    model, tokenizer = loaded
    logits = interp.run_with_cache(model, tokenizer.encode(TEXT), ("logits",)).logits[0]
    found = next_token(library.open("tiny"), TEXT, 4)
    np.testing.assert_allclose(found["logits"], np.sort(logits[4].numpy())[::-1], atol=1e-5)
    assert found["ids"][0] == int(logits[4].argmax())
    assert next_token(library.open("tiny"), TEXT)["position"] == len(TEXT) - 1
