"""Neurons are the model's own, their examples stand in the validation text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis_app.analyses.neurons import neuron, neuron_examples
from analysis_app.analyses.token_labels import labels
from analysis_app.library import Library, NotFoundError
from lab import interp
from tests.analysis_app.conftest import validation_pieces

TEXT = "the cat sat"


def test_a_neuron_is_the_models_own(library: Library, loaded) -> None:
    model, tokenizer = loaded
    values = interp.run_with_cache(model, tokenizer.encode(TEXT), "mlp.post")["mlp.post", 1][0].numpy()
    found = neuron(library.open("tiny"), text=TEXT, layer=1, unit=5)
    np.testing.assert_allclose(found["activation"], values[:, 5], atol=1e-6)
    assert found["strongest"][0] == values.max(0).argmax()
    there = neuron(library.open("tiny"), text=TEXT, layer=1, unit=5, position=4)
    assert there["strongest"][0] == values[4].argmax()
    assert there["strongest_values"][0] == pytest.approx(values[4].max(), abs=1e-6)
    with pytest.raises(NotFoundError, match="unit 128: there are 128"):
        neuron(library.open("tiny"), text=TEXT, unit=128)


def test_examples_of_a_neuron_stand_in_the_validation_text(library: Library, loaded, runs: Path) -> None:
    model, tokenizer = loaded
    text = validation_pieces(runs)
    cache = interp.run_with_cache(model, text, ("mlp.pre", "mlp.post"))
    values = cache["mlp.post", 0].numpy()[:, :, 7]
    told: list[tuple[int, int]] = []
    where = {"layer": 0, "unit": 7}
    found = neuron_examples(library.open("tiny"), **where, progress=lambda *done: told.append(done))
    assert told
    np.testing.assert_allclose([e["value"] for e in found["examples"]], -np.sort(-values.ravel())[:20], atol=1e-5)
    assert found["on_rate"] == pytest.approx((cache["mlp.pre", 0].numpy()[:, :, 7] > 0).mean(), abs=1e-6)
    whole = [labels(tokenizer, piece.tolist()) for piece in text]
    for example in found["examples"]:
        start = example["position"] - example["at"]
        assert any(piece[start : start + len(example["tokens"])] == example["tokens"] for piece in whole)
    assert neuron_examples(library.open("tiny"), layer=1, unit=0, progress=told.append)["examples"]  # no new scan
