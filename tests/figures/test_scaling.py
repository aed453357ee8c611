"""Loss against compute: dots where the runs are, a line only where there is a law."""

from __future__ import annotations

import numpy as np
import pytest

from lab.figures import draw_scaling


def test_dots_names_and_law() -> None:
    compute, losses = [1e12, 1e13, 1e14], [4.0, 3.0, 2.5]
    figure = draw_scaling(compute, losses, ["1M", "2M", "4M"], (40.0, 0.1))
    axes = figure.axes[0]
    assert (axes.get_xscale(), axes.get_yscale(), len(axes.lines)) == ("log", "log", 2)
    x, y = axes.lines[1].get_data()
    assert np.allclose(y, 40 * np.asarray(x) ** -0.1)
    assert {"1M", "2M", "4M"} <= {text.get_text() for text in axes.texts}
    assert len(draw_scaling(compute, losses, dark=True).axes[0].lines) == 1
    figure.canvas.draw()


@pytest.mark.parametrize(("compute", "losses"), [([], []), ([1.0], [1.0, 2.0]), ([0.0], [1.0]), ([1.0], [-1.0])])
def test_what_cannot_be_drawn(compute: list[float], losses: list[float]) -> None:
    with pytest.raises(ValueError, match="draw_scaling"):
        draw_scaling(compute, losses)
