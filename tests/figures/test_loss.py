"""The picture of the loss."""

from __future__ import annotations

import io

import numpy as np
import pytest

from lab.figures import draw_loss

STEPS = np.arange(500)
LOSSES = 2 + 5 * np.exp(-STEPS / 40)
BASELINES = {"uniform": 7.62, "unigram": 5.9, "bigram": 3.42, "xz": 2.55}


def test_train_val_and_every_baseline_are_drawn_and_named() -> None:
    figure = draw_loss(STEPS, LOSSES, val=([100, 499], [2.6, 2.2]), baselines=BASELINES)
    axes = figure.axes[0]
    heights = {float(line.get_ydata()[0]) for line in axes.lines if len(set(line.get_ydata())) == 1}
    assert heights == set(BASELINES.values())
    written = {text.get_text() for text in axes.texts}
    assert {"uniform 7.62", "unigram 5.90", "bigram 3.42", "xz 2.55", "val 2.200"} <= written
    assert any(text.startswith("train 2.0") for text in written)


@pytest.mark.parametrize("log", [False, True])
def test_missing_losses_and_single_points_have_a_picture(log: bool) -> None:
    gaps = np.where(STEPS % 7 == 3, np.nan, LOSSES)
    for steps, losses in ((STEPS, gaps), ([0], [4.0]), (STEPS, np.full(500, np.nan))):
        file = io.BytesIO()
        draw_loss(steps, losses, log_x=log, log_y=log, dark=log).savefig(file, format="png")
        assert file.getvalue().startswith(b"\x89PNG")


def test_logarithmic_axes_on_request() -> None:
    axes = draw_loss(STEPS, LOSSES, log_x=True, log_y=True).axes[0]
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlim()[0]) == ("log", "log", 1)


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="as many losses as steps"):
        draw_loss(STEPS, LOSSES[:-1])
    with pytest.raises(ValueError, match="at least one"):
        draw_loss([], [])


def test_the_line_is_the_trend_where_one_is_given() -> None:
    trend = np.full(500, 3.0)
    written = {text.get_text() for text in draw_loss(STEPS, LOSSES, trend=trend).axes[0].texts}
    assert "train 3.000" in written


def test_phases_and_marks_are_named_where_there_is_room() -> None:
    steps = np.arange(1000)
    figure = draw_loss(
        steps, 3 - steps / 1000, phases=[(0, 20, "to unigram"), (20, 999, "below")],
        marks=[(500, "resumed"), (505, "spike"), (900, "best")], val=([0, 999], [3.0, 2.0]),
    )  # fmt: skip
    words = {text.get_text().strip() for text in figure.axes[0].texts}
    assert {"below", "resumed", "best"} <= words
    assert not words & {"to unigram", "spike"}
    figure.canvas.draw()
    top = next(t for t in figure.axes[0].texts if t.get_text().startswith("val"))
    assert top.xy[1] < 0.5  # type: ignore[attr-defined]  # the labels stand where the lines end, phases or not
