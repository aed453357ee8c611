"""Style of every figure: colours that colour-blind readers can tell apart, light axes, labels at the lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from lab.units import short

# Okabe and Ito 2008, "Color Universal Design", without its yellow, which is too pale for lines on white; each theme's
# ink takes the place of black.
BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"

FONT = "DejaVu Sans"  # comes with matplotlib, so a figure looks the same on every machine
Label = tuple[float, str, str]  # height in data, text, colour
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 11.0, 9.0, 8.0


@dataclass(frozen=True)
class Theme:
    """Colours of one background: `ink` for titles and values, `muted` for labels, `grid` for hairlines."""

    background: str
    ink: str
    muted: str
    grid: str
    colors: tuple[str, ...]


LIGHT = Theme("#FFFFFF", "#1F2328", "#656D76", "#E6E8EB", (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY))
DARK = Theme("#14171A", "#E8EAED", "#9AA3AD", "#2B3036", (SKY, ORANGE, GREEN, PURPLE, VERMILION, BLUE))


def theme(dark: bool = False) -> Theme:
    """The light or the dark theme."""
    return DARK if dark else LIGHT


def new_figure(colors: Theme, width: float = 7.2, height: float = 3.8) -> tuple[Figure, Axes]:
    """An empty figure of `width` × `height` inches with one pair of axes, outside of pyplot's state."""
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    figure = Figure(figsize=(width, height), layout=layout, facecolor=colors.background)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor=colors.background)
    style_axes(axes, colors)
    return figure, axes


def style_axes(axes: Axes, colors: Theme) -> None:
    """Axes of a line below and hairlines across, nothing else."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(colors.muted)
    axes.grid(axis="y", color=colors.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=colors.muted, labelsize=SMALL_SIZE, length=0, pad=5, labelfontfamily=FONT)
    axes.tick_params(axis="x", length=3)


def set_titles(axes: Axes, colors: Theme, title: str, x: str, y: str) -> None:
    """Title on the left, under it the unit `y` (or a remark), which is not turned beside the axis; `x` below."""
    axes.set_title(title, loc="left", color=colors.ink, fontsize=TITLE_SIZE, weight="bold", family=FONT, pad=26)
    axes.annotate(
        y,
        (0, 1),
        (0, 11),
        xycoords="axes fraction",
        textcoords="offset points",
        color=colors.muted,
        fontsize=TEXT_SIZE,
        family=FONT,
    )
    axes.set_xlabel(x, color=colors.muted, fontsize=TEXT_SIZE, family=FONT, labelpad=6)


def label_at_right(axes: Axes, labels: Sequence[Label], gap: float = 0.055) -> None:
    """Write labels right of the axes, each at its height but moved apart where they would touch.

    `gap` is the least distance, as a part of the axes' height. To be called when the limits are final.
    """
    transform = axes.transData + axes.transAxes.inverted()
    x = axes.get_xlim()[1]
    wanted = sorted((float(transform.transform((x, y))[1]), text, color) for y, text, color in labels)
    for (_, text, color), place in zip(wanted, spread([height for height, _, _ in wanted], gap), strict=True):
        axes.annotate(
            text, (1, place), (7, 0), xycoords="axes fraction", textcoords="offset points", color=color,
            fontsize=SMALL_SIZE, family=FONT, ha="left", va="center", annotation_clip=False,
        )  # fmt: skip


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights moved as little as need be (in the mean square) for neighbours to be `gap` apart.

    Labels that touch form a pool and share the mean of their heights (isotonic regression, Barlow et al. 1972).
    """
    pools: list[list[float]] = []  # sum and number of heights[i] - i·gap
    for i, height in enumerate(heights):
        pools.append([height - i * gap, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += count
    flat = [total / count for total, count in pools for _ in range(int(count))]
    return [place + i * gap for i, place in enumerate(flat)]


def step_axis(axes: Axes) -> None:
    """Whole steps on the x axis, as 500, 2k, 1.5M instead of 2000 or 1.5e6."""
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
