"""Histograms: what they show, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from lab.figures import draw_histograms
from lab.figures.canvas import rendered
from tests.figures.texts import words


@pytest.mark.parametrize("dark", [False, True])
def test_histograms_show_what_lies_outside(dark: bool) -> None:
    counts = np.zeros((2, 3, 10))
    counts[..., 4] = 90
    counts[0, 0, 0], counts[0, 0, -1] = 4, 6
    figure = draw_histograms(counts, np.linspace(-4, 4, 9), ["L0", "L1"], ["a", "b", "c"], dark=dark)
    assert {"← 4%", "6% →", "-4", "0", "4", "L1", "c"} <= set(words(figure))
    assert rendered(figure).shape[1] == 900


def test_an_empty_histogram_stays_empty() -> None:
    rendered(draw_histograms(np.zeros((1, 1, 4)), [0.0, 1.0, 2.0], ["L0"], ["gradients"]))
    with pytest.raises(ValueError, match=r"need \[1, 1, 4\]"):
        draw_histograms(np.zeros((1, 1, 3)), [0.0, 1.0, 2.0], ["L0"], ["x"])
