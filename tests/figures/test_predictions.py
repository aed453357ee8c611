"""Coloured text and the logit lens: what they show, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.text import Text

from lab.figures import draw_logit_lens, draw_token_loss
from lab.figures.canvas import masked_color, rendered
from lab.figures.style import theme
from tests.figures.texts import words


@pytest.mark.parametrize("dark", [False, True])
def test_the_scale_of_losses_is_that_of_guessing(dark: bool) -> None:
    figure = draw_token_loss([0.1, 9.0], ["the", "·cat", "⏎"], 50257, dark=dark)
    assert f"{math.log(50257):.1f} = ln 50257" in words(figure)
    assert any("mean 4.55 nats" in word for word in words(figure))
    assert (rendered(figure) == masked_color(theme(dark))).all(-1).any()  # the first token has no loss


def test_a_long_text_is_cut_and_says_so() -> None:
    figure = draw_token_loss(np.ones(899), ["word"] * 900, 100)
    assert any("the first 512 tokens" in word for word in words(figure))
    assert rendered(figure).shape[0] < 1000
    with pytest.raises(ValueError, match="one for each but the first"):
        draw_token_loss(np.ones(3), ["a"] * 3, 10)


def test_the_characters_of_a_text_stand_on_their_boxes() -> None:
    """A fixed-width font whose width is a whole number of pixels: no drift over a line."""
    from lab.figures.canvas import Canvas, _font
    from lab.figures.predictions import _CHARACTER, _SIZE

    canvas = Canvas(theme(), 400, 40)
    for character in "M·⏎⇥i":
        line = Text(0, 0, character * 24, fontproperties=_font("DejaVu Sans Mono", "normal", _SIZE), parse_math=False)
        canvas.figure.add_artist(line)
        renderer = canvas.figure.canvas.get_renderer()
        assert line.get_window_extent(renderer).width == pytest.approx(24 * _CHARACTER, abs=1)


def test_a_lens_has_a_row_for_each_depth_and_the_next_tokens() -> None:
    tops = [["x", "y", "z"]] * 5
    figure = draw_logit_lens(
        tops,
        np.full((5, 3), 0.5),
        ["a", "b", "c"],
        ["0_pre", "1_pre", "2_pre", "3_pre", "final_post"],
        targets=["b", "c"],
    )
    assert {"0_pre", "final_post", "token", "next token"} <= set(words(figure))
    rendered(figure)


def test_a_deep_and_long_lens_keeps_its_last_row_and_says_what_is_left_out() -> None:
    names = [f"{i}_pre" for i in range(24)] + ["final_post"]
    figure = draw_logit_lens([["word"] * 64] * 25, np.ones((25, 64)), ["a"] * 64, names)
    shown = " ".join(words(figure))
    assert "first 12 of 64 tokens" in shown
    assert "14 of 25 depths" in shown
    assert "final_post" in shown
    assert rendered(figure).shape[1] == 900
