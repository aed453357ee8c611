"""Small multiples over training: lines where their numbers are, names at their ends, honest refusals."""

from __future__ import annotations

import numpy as np
import pytest

from lab.figures import Panel, draw_curves
from lab.figures.curves import MOST_LINES


def panel(n_lines: int = 2, **more: object) -> Panel:
    lines = {f"layer {i}": ([0, 1, 10, 100], [1.0, 2.0, 3.0 + i, 4.0 + i]) for i in range(n_lines)}
    return Panel("Norm", "of it", lines, **more)  # type: ignore[arg-type]


def test_a_panel_each_with_its_lines_and_names() -> None:
    figure = draw_curves([panel(), panel(3, guides={"clip": 9.0}), panel(1)])
    assert [len(axes.lines) for axes in figure.axes] == [2, 4, 1]
    words = {text.get_text() for text in figure.axes[1].texts}
    assert {"layer 0", "layer 1", "layer 2", "clip", "of it"} <= words
    assert figure.axes[1].get_ylim()[1] >= 9


def test_step_0_has_a_place_on_a_logarithmic_axis() -> None:
    axes = draw_curves([panel()], log_x=True).axes[0]
    assert axes.get_xscale() == "log"
    assert axes.lines[0].get_xdata().tolist() == [1, 1, 10, 100]
    assert axes.get_xlim() == (1, 100)


def test_labels_that_would_touch_are_moved_apart() -> None:
    figure = draw_curves([Panel("a", "b", {name: ([0, 1], [1.0, 1.0]) for name in "abcdef"})])
    heights = sorted(text.xy[1] for text in figure.axes[0].texts if text.get_text() in "abcdef")  # type: ignore[attr-defined]
    assert np.diff(heights).min() > 0.1


@pytest.mark.parametrize("values", [[float("nan")] * 3, [0.0] * 3, [1e-9, 1e9, 1.0], [5.0] * 3])
@pytest.mark.parametrize("dark", [False, True])
def test_odd_numbers_are_drawn_or_left_out(values: list[float], dark: bool) -> None:
    figure = draw_curves([Panel("x", "", {"": ([0, 1, 2], values), "none": ([], [])}, log_y=True)], dark=dark)
    figure.canvas.draw()


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="no panels"):
        draw_curves([])
    with pytest.raises(ValueError, match=r"more than 6 lines in Norm"):
        draw_curves([panel(MOST_LINES + 1)])


def test_small_numbers_are_short_on_the_axis() -> None:
    axes = draw_curves([Panel("Learning rate", "", {"": ([0, 10], [0.0, 9e-4])})]).axes[0]
    axes.figure.canvas.draw()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert "5e-4" in labels
    assert "0.00075" not in labels
