"""Pixels, colours and text at pixel positions."""

from __future__ import annotations

import numpy as np
import pytest

from lab.figures.canvas import Canvas, masked_color, ramp, rendered, to_colors
from lab.figures.style import theme
from tests.figures.texts import words


@pytest.mark.parametrize("dark", [False, True])
def test_the_ramp_gets_steadily_stronger_and_the_mask_is_none_of_its_tones(dark: bool) -> None:
    tones = ramp(theme(dark)).astype(int).sum(axis=1)
    assert (np.diff(tones) * (1 if dark else -1) >= 0).all()
    assert not (ramp(theme(dark)) == masked_color(theme(dark))).all(axis=1).any()
    colors = to_colors(np.array([0.0, 1.0, 5.0, np.nan]), theme(dark))
    assert colors[0].tolist() == ramp(theme(dark))[0].tolist()
    assert colors[1].tolist() == colors[2].tolist() == ramp(theme(dark))[-1].tolist()
    assert tuple(colors[3]) == masked_color(theme(dark))


def test_pixels_stand_where_they_are_put() -> None:
    canvas = Canvas(theme(), 40, 30)
    canvas.image(np.array([[[255, 0, 0], [0, 255, 0]]], dtype=np.uint8), 10, 5, 4)
    canvas.boxes([[20, 20, 5, 5]], "#0000FF")
    image = rendered(canvas.figure)
    assert image.shape == (30, 40, 3)
    assert (image[5:9, 10:14] == [255, 0, 0]).all()
    assert (image[5:9, 14:18] == [0, 255, 0]).all()
    assert image[22, 22].tolist() == [0, 0, 255]
    assert (image[0] == 255).all()


def test_title_remark_and_scale_are_written() -> None:
    canvas = Canvas(theme(), 300, 200, "title", "remark")
    canvas.scale(150, [(0.0, "0"), (1.0, "1")], "linear", "masked")
    canvas.text(5, 100, "$x$")
    assert words(canvas.figure) == ["title", "remark", "0", "1", "linear", "masked", "$x$"]
