"""Pictures of where heads look: which heads are drawn large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.callbacks.attention_maps import AttentionMaps
from tests.callbacks.fits import PICTURES, failures, fit


def test_a_head_is_written_as_layer_and_head() -> None:
    assert AttentionMaps(heads=["1.3", "0.0"]).heads == [(1, 3), (0, 0)]
    with pytest.raises(ValueError, match=r"attention_maps\.heads has '1-3': write layer and head"):
        AttentionMaps(heads=["1-3"])


def test_a_head_that_the_model_does_not_have_is_named(tmp_path: Path) -> None:
    run = fit(tmp_path, "run", "--tensorboard", "true", "--attention_maps.heads", '["2.0"]', steps=1)
    (event,) = failures(run)
    assert event.instrument == "attention_maps"
    assert "attention_maps.heads has 2.0: the model has layers 0 to 1, heads 0 to 1" in event.error


def test_asked_for_heads_and_all_heads_are_drawn(tensorboard: Any) -> None:
    assert {name for name in PICTURES if name.startswith("attention/")} <= set(tensorboard.Tags()["images"])
