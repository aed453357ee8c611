"""The anatomy: its numbers are those of `lab.interp`, its parameters those of the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import lab
from analysis_app.analyses.anatomy.inside import inside
from analysis_app.analyses.anatomy.parts import anatomy
from analysis_app.library import Library
from lab import interp
from lab.model import GPT, GPTConfig
from tests.analysis_app.analyses.anatomy.models import open_model
from tests.variants import all_pairs_configs, describe

TEXT = "the cat sat"


@pytest.mark.promise("explain")
def test_the_numbers_are_those_of_the_cache(library: Library, runs: Path) -> None:
    model, tokenizer = lab.load("tiny", root=runs)
    cache = interp.run_with_cache(model, tokenizer.encode(TEXT))
    view = anatomy(library.open("tiny"), text=TEXT)
    for part in view["parts"]:
        if part.site is None:
            continue
        x = cache[part.site][0]
        assert part.numbers is not None
        assert part.shape == [1, *x.shape]
        np.testing.assert_allclose(part.numbers.norms, x.norm(dim=-1), rtol=1e-5)
        assert part.numbers.mean == pytest.approx(float(x.mean()), abs=1e-6)
        assert part.numbers.std == pytest.approx(float(x.std(correction=0)), rel=1e-5)
        if part.numbers.dims:
            np.testing.assert_allclose(part.numbers.picture, x[:, part.numbers.dims].T, atol=1e-6)
    expected = interp.token_predictions(cache, 10)
    np.testing.assert_allclose(view["top_probabilities"], expected.top_probabilities[0], atol=1e-6)
    assert view["text"] == TEXT


@pytest.mark.parametrize("config", all_pairs_configs(vocab_size=257, dropout=0.0), ids=describe)
def test_every_variant_is_drawn_whole(config: GPTConfig) -> None:
    torch.manual_seed(0)
    model = GPT(config).eval()
    only = open_model(model)
    view = anatomy(only, text="one two one")
    sizes = {name: list(weight.shape) for name, weight in model.named_parameters()}
    assert view["n_parameters"] == sum(weight.numel() for weight in model.parameters())
    drawn = [name for part in view["parts"] for name, _ in part.weights]
    assert sorted(drawn) == sorted(sizes)
    for part in view["parts"]:
        assert part.n_parameters == sum(int(np.prod(shape)) for _, shape in part.weights)
        assert part.words.title
        assert len(part.words.words) > 100
        assert part.code
    keys = {part.key: part for part in view["parts"] if part.layer in (None, 1)}
    for key, part in keys.items():
        found = inside(only, "one two one", part=key, layer=1, head=3)
        assert all(np.isfinite(step.numbers.std) for step in found["steps"])
        if part.numbers is not None and key != "logits" and not key.startswith("ln"):
            np.testing.assert_allclose(found["steps"][-1].numbers.norms, part.numbers.norms, rtol=1e-5)
