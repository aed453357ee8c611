"""Histograms as small multiples: a row for each layer, a column for each quantity, all over the same edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from lab.figures.canvas import MARGIN, TITLE_HEIGHT, WIDTH, Align, Canvas
from lab.figures.style import TEXT_SIZE, theme

MOST_ROWS = 24
ROW_HEIGHT = 46


def draw_histograms(
    counts: ArrayLike,
    edges: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str = "Activations",
    remark: str = "",
    dark: bool = False,
) -> Figure:
    """Small multiples of histograms, `counts` `[row, column, bin]` over `edges` `[edge]`.

    There are two bins more than there are gaps between edges: below the first edge and above the last; their
    shares are written at the sides where they are not 0. Bin *widths* may differ (symmetric-log edges): each
    bin is drawn equally wide and named by its edges. Heights are each panel's own share, square-root scale, so
    that tails show. Panels of nothing (0 counts) stay empty. Raises ValueError for shapes that don't fit.
    """
    found, limits = np.asarray(counts, dtype=float), np.asarray(edges, dtype=float)
    expected = (len(rows), len(columns), len(limits) + 1)
    if found.shape != expected or not found.size:
        raise ValueError(f"histograms of shape {list(found.shape)}: rows, columns and edges need {list(expected)}")
    if len(rows) > MOST_ROWS:
        raise ValueError(f"{len(rows)} rows are more than the {MOST_ROWS} that this picture has room for: give fewer")
    colors = theme(dark)
    left, top = MARGIN + 44, TITLE_HEIGHT + 22
    pitch = (WIDTH - left - MARGIN + 14) / len(columns)
    wide, high = pitch - 14, ROW_HEIGHT - 10
    canvas = Canvas(
        colors, WIDTH, top + len(rows) * ROW_HEIGHT + 34, title, remark or "share of numbers, square-root scale"
    )  # fmt: skip
    for c, name in enumerate(columns):
        canvas.text(left + c * pitch, top - 12, name, color=colors.ink, size=TEXT_SIZE)
        _name_edges(canvas, limits, left + c * pitch, top + len(rows) * ROW_HEIGHT + 4, wide)
    shapes, floors, zeros = [], [], []
    for r, row in enumerate(rows):
        base = top + r * ROW_HEIGHT + high
        canvas.text(left - 10, base - high / 2, row, align="right")
        for c in range(len(columns)):
            x = left + c * pitch
            floors.append([x, base, wide, 0.8])
            zeros.append([x + _zero(limits) * wide, base - high, 0.6, high])
            if found[r, c].any():
                shapes.append(_outline(found[r, c], x, base, wide, high))
            _name_outliers(canvas, found[r, c], x, base - high, wide)
    canvas.boxes(zeros, colors.grid)
    canvas.shapes(shapes, colors.colors[0])
    canvas.boxes(floors, colors.muted)
    return canvas.figure


def _outline(counts: NDArray[np.float64], x: float, base: float, wide: float, high: float) -> NDArray[np.float64]:
    """The corners of a histogram as one shape `[corner, 2]`: neighbouring bars leave no seams."""
    heights = np.sqrt(counts[1:-1])
    heights *= high / max(float(heights.max()), 1e-9)
    sides = x + np.linspace(0, wide, len(heights) + 1).repeat(2)
    tops = base - np.concatenate([[0.0], heights.repeat(2), [0.0]])
    return np.stack([sides, tops], axis=1)


def _zero(edges: NDArray[np.float64]) -> float:
    """Where 0 lies, as a part of the panel's width."""
    place = float(np.interp(0.0, edges, np.arange(len(edges))))
    return min(1.0, max(0.0, place / (len(edges) - 1)))


def _name_edges(canvas: Canvas, edges: NDArray[np.float64], x: float, y: float, wide: float) -> None:
    for at in (0.0, 0.25, 0.5, 0.75, 1.0):
        middle = at == 0.5 and edges[0] < 0 < edges[-1]
        value = 0.0 if middle else float(edges[round(at * (len(edges) - 1))])
        align: Align = "left" if at == 0 else "right" if at == 1 else "center"
        canvas.text(x + at * wide, y + 6, f"{value:.1g}" if abs(value) < 1 else f"{value:g}", align=align)


def _name_outliers(canvas: Canvas, counts: NDArray[np.float64], x: float, y: float, wide: float) -> None:
    total = counts.sum()
    if total and counts[0]:
        canvas.text(x + 2, y + 5, f"← {100 * counts[0] / total:.2g}%")
    if total and counts[-1]:
        canvas.text(x + wide - 2, y + 5, f"{100 * counts[-1] / total:.2g}% →", align="right")
