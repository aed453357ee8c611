"""Norms of the residual stream."""

from __future__ import annotations

import numpy as np
import pytest

from lab.figures import draw_residual_norms
from lab.figures.canvas import rendered
from tests.figures.texts import words


def test_norms_leave_the_first_token_out_of_their_bars() -> None:
    norms = np.full((2, 8), 2.0)
    norms[:, 0] = 500.0
    figure = draw_residual_norms({"resid_post": norms, "mlp_out": norms / 4})
    assert words(figure).count("2") >= 2  # not the mean of 64
    rendered(figure)
    with pytest.raises(ValueError, match="and resid_post"):
        draw_residual_norms({"mlp_out": norms})
    with pytest.raises(ValueError, match="300 tokens are more than the 256"):
        draw_residual_norms({"resid_post": np.ones((2, 300))})


def test_norms_of_one_token_and_of_equal_lengths_are_drawn() -> None:
    rendered(draw_residual_norms({"resid_post": np.ones((3, 1))}))
    rendered(draw_residual_norms({"resid_post": np.zeros((3, 5))}))
