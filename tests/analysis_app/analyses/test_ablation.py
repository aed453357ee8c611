"""Ablation is that of `lab.interp`."""

from __future__ import annotations

import numpy as np

from analysis_app.analyses.ablation import ablation
from analysis_app.library import Library
from lab import interp

TEXT = "the cat sat"


def test_ablation_is_that_of_interp(library: Library, loaded) -> None:
    model, tokenizer = loaded
    expected = interp.ablate(model, tokenizer.encode(TEXT))
    np.testing.assert_allclose(ablation(library.open("tiny"), text=TEXT)["heads"], expected.heads, atol=1e-6)
