"""Several quantities over training, a small panel each: lines that carry their names at their ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike

from lab.figures.style import FONT, SMALL_SIZE, Theme, label_at_right, step_axis, style_axes, theme
from lab.units import short

MOST_LINES = 6  # in one panel: as many as there are colours that can be told apart
FEW_DECADES = 1.5  # a logarithmic axis that spans fewer is labelled at 2 and 5, too
WIDTH, PANEL_HEIGHT = 7.2, 2.35
LEFT, RIGHT, TOP, BOTTOM = 0.5, 0.85, 0.62, 0.36


@dataclass(frozen=True)
class Panel:
    """Lines by name, each `(steps, values)`; `unit` is written under the title. `guides`: labelled levels."""

    title: str
    unit: str
    lines: Mapping[str, tuple[ArrayLike, ArrayLike]]
    log_y: bool = False
    guides: Mapping[str, float] = field(default_factory=dict)


def draw_curves(panels: list[Panel], *, columns: int = 2, log_x: bool = False, dark: bool = False) -> Figure:
    """Small multiples over the optimizer step.

    With `log_x` step 0 is at the left edge, where 1 is: most changes happen early.
    Raises ValueError where there is nothing to draw, or more than 6 lines in one panel.
    """
    if not panels:
        raise ValueError("draw_curves: no panels to draw")
    if crowded := [panel.title for panel in panels if len(panel.lines) > MOST_LINES]:
        raise ValueError(f"draw_curves: more than {MOST_LINES} lines in {', '.join(crowded)}: pick some")
    colors = theme(dark)
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    height = PANEL_HEIGHT * rows
    figure = Figure(figsize=(WIDTH, height), facecolor=colors.background)
    FigureCanvasAgg(figure)
    # Margins in inches, fixed: to measure the labels takes matplotlib as long as all the drawing.
    wide = WIDTH / columns - LEFT - RIGHT
    tall = PANEL_HEIGHT - TOP - BOTTOM
    figure.subplots_adjust(
        left=LEFT / WIDTH, right=1 - RIGHT / WIDTH, top=1 - TOP / height, bottom=BOTTOM / height,
        wspace=(LEFT + RIGHT) / wide, hspace=(TOP + BOTTOM) / tall,
    )  # fmt: skip
    for i, panel in enumerate(panels):
        _draw_panel(figure.add_subplot(rows, columns, i + 1, facecolor=colors.background), panel, colors, log_x)
    return figure


def _draw_panel(axes: Axes, panel: Panel, colors: Theme, log_x: bool) -> None:
    style_axes(axes, colors)
    ends, last = [], 1.0
    for (name, (steps, values)), color in zip(panel.lines.items(), colors.colors, strict=False):
        x, y = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
        if not len(x):
            continue
        last = max(last, float(x.max()))
        axes.plot(np.maximum(x, 1) if log_x else x, y, "o" if len(x) == 1 else "-", color=color, linewidth=1.5)
        known = y[np.isfinite(y)]
        if len(known) and name:
            ends.append((float(known[-1]), name, color))
    if log_x:
        axes.set_xscale("log")
    axes.set_xlim(1 if log_x else 0, max(last, 2))
    _scale_y(axes, panel)
    for name, level in panel.guides.items():
        axes.axhline(level, color=colors.muted, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        ends.append((level, name, colors.muted))
    axes.xaxis.set_minor_formatter(NullFormatter())
    step_axis(axes)
    axes.set_title(
        panel.title, loc="left", color=colors.ink, fontsize=SMALL_SIZE + 1, weight="bold", family=FONT, pad=20
    )
    axes.annotate(
        panel.unit, (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset points", color=colors.muted,
        fontsize=SMALL_SIZE, family=FONT,
    )  # fmt: skip
    label_at_right(axes, ends, gap=0.105)


def _scale_y(axes: Axes, panel: Panel) -> None:
    values = np.concatenate([np.asarray(y, dtype=float) for _, y in panel.lines.values()] or [np.empty(0)])
    values = values[np.isfinite(values)]
    if panel.log_y and (values > 0).any():
        axes.set_yscale("log")
        decades = np.log10(values.max() / values[values > 0].min())
        if decades < FEW_DECADES:
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    low, high = axes.get_ylim()
    if not panel.log_y and panel.guides:
        axes.set_ylim(min(low, *panel.guides.values()), max(high, *panel.guides.values()))


def _tick(value: float) -> str:
    """A number for an axis: 7.5e-4 instead of 0.00075, for which a narrow panel has no room."""
    value = round(value, 12)
    if value == 0 or abs(value) >= 1e-2:
        return short(value)
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"
