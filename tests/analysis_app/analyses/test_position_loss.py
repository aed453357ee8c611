"""The loss by position is that of `lab.interp`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis_app.analyses.position_loss import position_loss
from analysis_app.library import Library
from lab import interp
from tests.analysis_app.conftest import validation_pieces


def test_loss_by_position_is_that_of_interp(library: Library, loaded, runs: Path) -> None:
    cache = interp.run_with_cache(loaded.model, validation_pieces(runs), interp.PREDICTION_SITES)
    found = position_loss(library.open("tiny"))
    spread = interp.token_losses(cache)
    np.testing.assert_allclose(found["loss"], spread.mean(0), atol=1e-5)
    assert found["in_context"] == pytest.approx(interp.in_context_score(spread), abs=1e-5)
    np.testing.assert_allclose(found["error"], spread.std(0, ddof=1) / len(spread) ** 0.5, atol=1e-5)
