"""Pictures of attention, by their pixels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from lab.figures import draw_attention, draw_head_grid, draw_head_scores
from lab.figures.canvas import masked_color, ramp, rendered
from lab.figures.style import theme
from tests.figures.texts import words


def causal(*shape: int) -> np.ndarray:
    scores = np.random.default_rng(0).normal(size=shape)
    scores[..., np.triu(np.ones(shape[-2:], dtype=bool), 1)] = -np.inf
    weights = np.exp(scores)
    return weights / weights.sum(-1, keepdims=True)


def colors_in(image: np.ndarray) -> set[tuple[int, ...]]:
    return set(map(tuple, np.unique(image.reshape(-1, 3), axis=0).tolist()))


@pytest.mark.parametrize("dark", [False, True])
def test_what_cannot_be_read_is_no_tone_of_the_scale(dark: bool) -> None:
    assert masked_color(theme(dark)) not in set(map(tuple, ramp(theme(dark)).tolist()))
    figure = draw_attention(np.eye(8), list("abcdefgh"), dark=dark)
    found = colors_in(rendered(figure))
    zero, one = (tuple(ramp(theme(dark))[i].tolist()) for i in (0, 255))
    assert {masked_color(theme(dark)), zero, one} <= found


def test_the_scale_is_the_square_root_and_says_so() -> None:
    pattern = np.tril(np.full((4, 4), 0.25))
    figure = draw_attention(pattern, list("abcd"))
    half = tuple(ramp(theme())[128].tolist())  # √0.25
    image = rendered(figure)
    assert (image == half).all(-1).sum() > 1000
    assert "attention, square-root scale" in words(figure)
    assert "0.25" in words(figure)


def test_equal_tokens_keep_their_own_rows_and_dollars_are_dollars() -> None:
    figure = draw_attention(causal(3, 3), ["$a$", "$a$", "⏎"])
    assert {"0 $a$", "1 $a$", "2 ⏎"} <= set(words(figure))
    rendered(figure)


@pytest.mark.parametrize(
    ("layers", "heads", "positions"), [(4, 4, 64), (6, 6, 256), (12, 12, 64), (24, 16, 64), (1, 1, 2)]
)
def test_grids_fit_a_dashboard(layers: int, heads: int, positions: int) -> None:
    image = rendered(draw_head_grid(causal(layers, heads, positions, positions)))
    assert 600 <= image.shape[1] <= 960


def test_a_thin_stripe_survives_being_made_smaller() -> None:
    patterns = np.zeros((2, 12, 256, 256))
    patterns[1, 5, np.arange(40, 256), np.arange(216)] = 1.0
    image = rendered(draw_head_grid(patterns))
    strongest = (image == ramp(theme())[255]).all(-1)
    assert strongest.sum() > 40  # beside the end of the scale


def test_too_many_positions_are_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"600 positions are more than the 512 .* pattern\[\.\.\., :512, :512\]"):
        draw_attention(causal(600, 600), ["a"] * 600)
    with pytest.raises(ValueError, match="300 positions are more than the 256"):
        draw_head_grid(causal(1, 1, 300, 300))
    with pytest.raises(ValueError, match=r"shape \[3, 4\]: needs \[query, key\]"):
        draw_attention(np.zeros((3, 4)), ["a"] * 3)
    with pytest.raises(ValueError, match="2 labels for 3 positions"):
        draw_attention(causal(3, 3), ["a", "b"])


def test_scores_show_numbers_and_chance() -> None:
    figure = draw_head_scores({"induction": ([[0.02, 0.91], [0.5, 1.0]], 0.021), "entropy": (np.ones((2, 2)), 1.0)})
    assert {"induction", "chance 0.021", "entropy", "chance 1", ".91", ".50", "H1", "L1"} <= set(words(figure))
    without = draw_head_scores({"induction": ([[0.02, 0.91]], 0.021)}, numbers=False)
    assert ".91" not in words(without)
    with pytest.raises(ValueError, match="one shape"):
        draw_head_scores({"a": (np.ones((2, 2)), 0.0), "b": (np.ones((2, 3)), 0.0)})


def test_pyplot_is_never_loaded() -> None:
    code = (
        "import sys, numpy as np, lab.figures as f; from lab.figures.canvas import rendered;"
        "rendered(f.draw_head_grid(np.ones((1, 1, 4, 4)))); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("dpi", [72, 100, 150, 200])
def test_a_figure_saves_at_any_resolution(dpi: int, tmp_path) -> None:
    from PIL import Image

    figure = draw_head_grid(causal(2, 2, 16, 16))
    figure.savefig(tmp_path / "grid.png", dpi=dpi)
    image = np.asarray(Image.open(tmp_path / "grid.png").convert("RGB"))
    masked = (image == masked_color(theme())).all(-1).mean()
    usual = (rendered(figure) == masked_color(theme())).all(-1).mean()
    assert masked == pytest.approx(usual, rel=0.05)  # the panels grow with the sheet
