"""Loss against compute over many runs, both logarithmic, with a power law where there is one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from lab.figures.style import FONT, SMALL_SIZE, new_figure, set_titles, theme

MOST_NAMES = 12
ROOM = 1.12  # factor of empty space around the dots


def draw_scaling(
    compute: Sequence[float],
    losses: Sequence[float],
    names: Sequence[str] = (),
    law: tuple[float, float] | None = None,
    *,
    title: str = "Loss and compute",
    dark: bool = False,
) -> Figure:
    """A dot for each run, named where there is room; `law` is (scale, slope) of loss = scale · compute^-slope.

    Raises ValueError where there is nothing to draw, or a number is not above 0.
    """
    x, y = np.asarray(compute, dtype=float), np.asarray(losses, dtype=float)
    if not len(x) or x.shape != y.shape or not ((x > 0) & (y > 0)).all():
        raise ValueError("draw_scaling: needs as many losses as amounts of compute, all above 0")
    colors = theme(dark)
    figure, axes = new_figure(colors)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot(x, y, "o", color=colors.colors[0], markersize=6, markeredgecolor=colors.background, zorder=3)
    if law is not None:
        ends = np.array([x.min() / ROOM, x.max() * ROOM])
        axes.plot(ends, law[0] * ends ** -law[1], color=colors.colors[1], linewidth=1.4)
    axes.set_xlim(x.min() / ROOM**3, x.max() * ROOM**3)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    for place, name in zip(zip(x, y, strict=True), names, strict=False) if len(x) <= MOST_NAMES else ():
        axes.annotate(
            name, place, (6, 5), textcoords="offset points", color=colors.muted, fontsize=SMALL_SIZE, family=FONT
        )
    set_titles(axes, colors, title, "training FLOPs", "validation loss, nats per token")
    return figure
