"""Activations are those of `lab.interp`; of one layer or head, parts of all."""

from __future__ import annotations

import numpy as np
import pytest

from analysis_app.analyses.activations import activations
from analysis_app.analyses.attention import attention_row
from analysis_app.analyses.predictions import predictions
from analysis_app.library import Library, NotFoundError
from lab import interp

TEXT = "the cat sat"


def test_activations_and_rows_are_those_of_interp(library: Library, loaded) -> None:
    model, tokenizer = loaded
    cache = interp.run_with_cache(model, tokenizer.encode(TEXT))
    found = activations(library.open("tiny"), text=TEXT)
    np.testing.assert_allclose(found["norms"], interp.residual_norms(cache).values[:, :, 0], atol=1e-5)
    assert found["counts"].sum(axis=1).min() == found["counts"][0].sum()  # every number is in some bin
    row = attention_row(library.open("tiny"), TEXT, layer=1, head=1, query=5)
    np.testing.assert_allclose(row["pattern"], interp.attention_patterns(cache)[1, 0, 1, 5], atol=1e-5)


def test_one_layer_and_one_head_are_parts_of_all(library: Library) -> None:
    whole = activations(library.open("tiny"), text=TEXT)
    part = activations(library.open("tiny"), text=TEXT, layer=1, head=0)
    np.testing.assert_array_equal(part["norms"], whole["norms"][:, 1:2])
    np.testing.assert_array_equal(part["head_norms"], whole["head_norms"][1:2, :1])
    assert part["sites"] == [site for site in whole["sites"] if ".1." in site]
    guesses = predictions(library.open("tiny"), text=TEXT)
    layer = predictions(library.open("tiny"), text=TEXT, layer=1)
    assert guesses["attribution"] is not None
    assert layer["attribution"] is not None
    assert layer["attribution"]["parts"] == [
        part for part in guesses["attribution"]["parts"] if part.startswith(("L1", "1_"))
    ]
    np.testing.assert_array_equal(layer["lens"]["target_loss"], guesses["lens"]["target_loss"][1:])
    head = predictions(library.open("tiny"), text=TEXT, layer=1, head=1)["attribution"]
    assert head is not None
    assert head["parts"] == ["L1H1"]
    with pytest.raises(ValueError, match="of which layer"):
        activations(library.open("tiny"), text=TEXT, head=1)
    with pytest.raises(NotFoundError, match="layer 2"):
        predictions(library.open("tiny"), text=TEXT, layer=2)
