"""What all figures share."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.figures.style import spread, theme


@given(st.lists(st.floats(-1, 2), max_size=12), st.floats(0.01, 0.2))
def test_labels_keep_their_distance_and_move_only_where_they_touch(heights: list[float], gap: float) -> None:
    heights = sorted(heights)
    places = spread(heights, gap)
    assert all(b - a >= gap - 1e-9 for a, b in pairwise(places))
    if all(b - a >= gap for a, b in pairwise(heights)):
        assert places == pytest.approx(heights)
    # The best there is: no shift of all labels together comes nearer to where they wish to be.
    if heights:
        assert np.mean(np.subtract(places, heights)) == pytest.approx(0, abs=1e-9)


def luminance(color: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """From 1 (the same) to 21 (black on white)."""
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_text_and_the_first_lines_stand_out_from_the_background(dark: bool) -> None:
    colors = theme(dark)
    assert contrast(colors.ink, colors.background) >= 7
    assert contrast(colors.muted, colors.background) >= 4.5
    assert all(contrast(color, colors.background) >= 3 for color in colors.colors[:3])
    assert all(a != b for a, b in combinations(colors.colors, 2))
