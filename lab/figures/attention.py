"""Attention patterns, of one head and of all, and one number for each head.

A pattern `[query, key]` says how much a position (row) reads from an earlier one (column). Its numbers are shown on a
square-root scale: a head that spreads its attention over 60 keys gives each 0.02, which a linear scale would show as
0. Keys after the query are masked, and grey rather than 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from lab.figures.canvas import MARGIN, SCALE_HEIGHT, TITLE_HEIGHT, WIDTH, Canvas, masked_color, ramp, to_colors
from lab.figures.style import SMALL_SIZE, TEXT_SIZE, Theme, theme
from lab.figures.tokens import numbered

MOST_POSITIONS = 512  # in the picture of one head; beyond, a cell would have less than 2 pixels
MOST_GRID_POSITIONS = 256
LABELLED_POSITIONS = 32  # up to here each row and column has its token; beyond, some of them
SQRT_TICKS = ((0.0, "0"), (0.1**0.5, "0.1"), (0.5, "0.25"), (0.5**0.5, "0.5"), (1.0, "1"))
GAP = 3


def draw_attention(
    pattern: ArrayLike,
    labels: Sequence[str],
    *,
    title: str = "Attention",
    remark: str = "query (row) reads from key (column)",
    dark: bool = False,
) -> Figure:
    """One head's pattern `[query, key]` with its tokens; `labels` as `show_token` makes them.

    Raises ValueError above 512 positions, saying what to do.
    """
    shown = _patterns(pattern, 2)
    n = shown.shape[-1]
    _check(shown, labels, n, MOST_POSITIONS)
    colors = theme(dark)
    named = numbered(labels)
    # Every label where they fit, else so many that they keep 14 pixels apart.
    cell = max(1, (WIDTH - 220) // n)
    cell = min(cell, 26)
    step = -(-14 // cell) if n > LABELLED_POSITIONS else 1
    places = range(0, n, step)
    left = MARGIN + 12 + round(6.4 * max(len(named[i]) for i in places))
    size = n * cell
    top = TITLE_HEIGHT + 12 + round(6.4 * max(len(named[i]) for i in places))
    canvas = Canvas(colors, max(left + size + MARGIN, 620), top + size + 18 + SCALE_HEIGHT, title, remark)
    canvas.image(_pixels(shown, 1, colors), left, top, cell)
    canvas.boxes([[left, top, size, size]], "none", colors.muted, 0.5)
    for i in places:
        canvas.text(left - 6, top + (i + 0.5) * cell, named[i], align="right", size=SMALL_SIZE)
        canvas.text(left + (i + 0.5) * cell, top - 6, named[i], size=SMALL_SIZE, rotation=90)
    canvas.scale(top + size + 18, SQRT_TICKS, "attention, square-root scale", "masked: after the query")
    return canvas.figure


def draw_head_grid(
    patterns: ArrayLike, *, title: str = "Attention of every head", remark: str = "", dark: bool = False
) -> Figure:
    """All heads' patterns `[layer, head, query, key]` over one text: a row a layer, a column a head.

    Where there are more cells than pixels, each pixel shows the largest of its cells, so that a thin stripe
    stays visible. Raises ValueError above 256 positions.
    """
    shown = _patterns(patterns, 4)
    n_layers, n_heads, n = shown.shape[:3]
    _check(shown, [], n, MOST_GRID_POSITIONS)
    colors = theme(dark)
    left, room = MARGIN + 30, WIDTH - 2 * MARGIN - 30
    panel_room = (room + GAP) // n_heads - GAP
    shrink = max(1, -(-n // max(1, panel_room)))
    panels = _pixels(shown, shrink, colors)
    n_shown = panels.shape[-2]
    cell = max(1, min(panel_room, 200) // n_shown)
    panel = n_shown * cell
    pitch = panel + GAP
    sheet = np.empty((n_layers * pitch - GAP, n_heads * pitch - GAP, 3), dtype=np.uint8)
    sheet[:] = np.array([int(colors.background[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.uint8)
    for layer in range(n_layers):
        for head in range(n_heads):
            tile = panels[layer, head].repeat(cell, axis=0).repeat(cell, axis=1)
            sheet[layer * pitch : layer * pitch + panel, head * pitch : head * pitch + panel] = tile
    top = TITLE_HEIGHT + 16
    width = max(left + sheet.shape[1] + MARGIN, 620)
    canvas = Canvas(
        colors, width, top + sheet.shape[0] + 18 + SCALE_HEIGHT, title,
        remark or f"query (row) reads from key (column), {n} tokens",
    )  # fmt: skip
    canvas.image(sheet, left, top)
    _name_grid(canvas, left, top, pitch, panel, n_layers, n_heads)
    canvas.scale(top + sheet.shape[0] + 18, SQRT_TICKS, "attention, square-root scale", "masked: after the query")
    return canvas.figure


def draw_head_scores(
    scores: Mapping[str, tuple[ArrayLike, float]],
    *,
    numbers: bool = True,
    title: str = "Head scores",
    remark: str = "chance: the score of a head that attends evenly to every key it can see",
    dark: bool = False,
) -> Figure:
    """Matrices of one number per head, `[layer, head]` each, side by side; with each the level of chance.

    `scores` maps a name to the matrix and its chance level, all from 0 to 1 and on one scale. With
    `numbers`, the values are written into the cells where they have room; this takes most of the time.
    """
    if not scores:
        raise ValueError("draw_head_scores: no scores to draw")
    matrices = {name: np.asarray(values, dtype=float) for name, (values, _) in scores.items()}
    shapes = {m.shape for m in matrices.values()}
    n_layers, n_heads = shape = next(iter(shapes))
    if len(shapes) > 1 or len(shape) != 2:
        raise ValueError(f"draw_head_scores: needs matrices [layer, head] of one shape, got {sorted(shapes)}")
    colors = theme(dark)
    left = MARGIN + 30
    per_row = min(len(matrices), max(1, (WIDTH - left - MARGIN) // (max(26 * n_heads, 120) + 30)))
    n_rows = -(-len(matrices) // per_row)
    cell = int(min(44, max(6, ((WIDTH - left - MARGIN) / per_row - 30) / n_heads)))
    width, height = max(cell * n_heads, 120) + 30, cell * n_layers + 68
    top = TITLE_HEIGHT + 44
    canvas = Canvas(
        colors, max(620, left + per_row * width + MARGIN), top + n_rows * height - 48 + SCALE_HEIGHT, title, remark
    )  # fmt: skip
    for i, (name, values) in enumerate(matrices.items()):
        x, y = left + i % per_row * width, top + i // per_row * height
        chance = scores[name][1]
        canvas.text(x, y - 40, name, color=colors.ink, size=TEXT_SIZE)
        canvas.text(x, y - 25, f"chance {chance:.2g}")
        canvas.image(to_colors(values, colors), x, y, cell)
        canvas.boxes([[x, y, cell * n_heads, cell * n_layers]], "none", colors.grid, 0.8)
        _name_grid(canvas, x, y, cell, cell, n_layers if i % per_row == 0 else 0, n_heads)
        if numbers and cell >= 24 and n_layers * n_heads * len(matrices) <= 160:
            _write_values(canvas, values, x, y, cell)
    y = top + n_rows * height - 48
    canvas.scale(y, ((0.0, "0"), (0.5, "0.5"), (1.0, "1")), "linear scale")
    return canvas.figure


def _write_values(canvas: Canvas, values: NDArray[np.float64], x: float, y: float, cell: int) -> None:
    dark = canvas.colors.background < "#8"
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            on_light = (value < 0.45) != dark
            canvas.text(
                x + (column + 0.5) * cell, y + (row + 0.5) * cell, f"{value:.2f}".lstrip("0") if value < 1 else "1",
                align="center", color="#1F2328" if on_light else "#FFFFFF",
            )  # fmt: skip


def _name_grid(
    canvas: Canvas, left: float, top: float, pitch: float, panel: float, n_layers: int, n_heads: int
) -> None:
    """`L0`, `L1`, … before the rows and `H0`, `H1`, … over the columns, as many as fit."""
    for count, needed, horizontal in ((n_layers, 13, False), (n_heads, 24, True)):
        for i in range(0, count, max(1, -(-needed // int(pitch)))):
            middle = i * pitch + panel / 2
            if horizontal:
                canvas.text(left + middle, top - 9, f"H{i}", align="center")
            else:
                canvas.text(left - 6, top + middle, f"L{i}", align="right")


def _patterns(pattern: ArrayLike, ndim: int) -> NDArray[np.float32]:
    found = np.asarray(pattern, dtype=np.float32)
    if found.ndim != ndim or found.shape[-1] != found.shape[-2] or not found.size:
        wanted = "[query, key]" if ndim == 2 else "[layer, head, query, key]"
        raise ValueError(f"attention of shape {list(found.shape)}: needs {wanted}")
    return found


def _pixels(patterns: NDArray[np.float32], shrink: int, colors: Theme) -> NDArray[np.uint8]:
    """Patterns `[…, query, key]` as colours `[…, pixel, pixel, 3]`, the largest of each `shrink` × `shrink` block,
    grey where all of that comes after the query."""
    shades = (255 * np.sqrt(np.nan_to_num(patterns).clip(0, 1)) + 0.5).astype(np.uint8)
    n = patterns.shape[-1]
    if shrink > 1:
        edge = -n % shrink
        shades = np.pad(shades, [(0, 0)] * (shades.ndim - 2) + [(0, edge)] * 2)
        n = shades.shape[-1] // shrink
        shades = shades.reshape(*shades.shape[:-2], n, shrink, n, shrink).max(axis=(-3, -1))
    found = ramp(colors)[shades]
    found[..., np.triu(np.ones((n, n), dtype=bool), 1), :] = masked_color(colors)
    return found


def _check(pattern: NDArray[np.float32], labels: Sequence[str], n: int, most: int) -> None:
    if labels and len(labels) != n:
        raise ValueError(f"{len(labels)} labels for {n} positions: give one each")
    if n > most:
        raise ValueError(
            f"{n} positions are more than the {most} that this picture has room for: give the first {most}, "
            f"pattern[..., :{most}, :{most}]"
        )
