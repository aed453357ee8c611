"""The picture of the learning rate."""

from __future__ import annotations

import io

import matplotlib
import pytest
from matplotlib.figure import Figure

from lab.figures import draw_schedule

STEPS = list(range(100))
RATES = [min(1.0, (s + 1) / 11) * 1e-3 for s in STEPS]


def texts(figure: Figure) -> list[str]:
    """Everything written inside the axes and right of them."""
    return [text.get_text() for text in figure.axes[0].texts]


def png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def test_the_lines_are_the_learning_rates() -> None:
    figure = draw_schedule(STEPS, {"muon": [20 * r for r in RATES], "adamw": RATES})
    drawn = {line.get_ydata()[-1]: list(line.get_xdata()) for line in figure.axes[0].lines}
    assert drawn == {20 * RATES[-1]: STEPS, RATES[-1]: STEPS}
    assert {text.split("\n")[0] for text in texts(figure)} >= {"muon", "adamw"}


def test_phases_and_length_are_named() -> None:
    phases = [("warm-up", 0, 10), ("stable", 10, 99), ("decay", 99, 100)]
    figure = draw_schedule(STEPS, {"adamw": RATES}, phases=phases, tokens_per_step=768)
    written = texts(figure)
    assert {"warm-up, 10 steps", "stable, 89 steps", "decay, 1 step"} <= set(written)
    assert "100 steps of 768 tokens: 76.8k tokens" in written


def test_a_run_of_one_step_has_a_picture() -> None:
    assert png(draw_schedule([0], {"adamw": [1e-3]}, phases=[("stable", 0, 1)])).startswith(b"\x89PNG")


def test_light_and_dark_differ_and_pyplot_stays_untouched() -> None:
    light, dark = (draw_schedule(STEPS, {"adamw": RATES}, dark=dark) for dark in (False, True))
    assert png(light) != png(dark)
    assert not matplotlib._pylab_helpers.Gcf.get_all_fig_managers()


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="100 steps need as many learning rates"):
        draw_schedule(STEPS, {"adamw": RATES, "muon": RATES[:3]})
    with pytest.raises(ValueError, match="0 steps"):
        draw_schedule([], {"adamw": []})
