"""Norms of the residual stream: what each branch adds per layer, and the stream by layer and token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from lab.figures.canvas import MARGIN, SCALE_HEIGHT, TITLE_HEIGHT, WIDTH, Canvas, to_colors
from lab.figures.style import TEXT_SIZE, theme
from lab.figures.tokens import shorten
from lab.units import short

MOST_TOKENS = 256
ROW_HEIGHT = 34
BARS_WIDTH = 260


def draw_residual_norms(
    norms: Mapping[str, ArrayLike],
    labels: Sequence[str] = (),
    *,
    stream: str = "resid_post",
    title: str = "Residual stream",
    remark: str = "L2 norm of the vectors; bars: mean without the first token",
    dark: bool = False,
) -> Figure:
    """Norms `[layer, pos]` by quantity: on the left bars, their mean over the tokens but the first; on the right
    the `stream`'s, layer by token, on a logarithmic scale.

    The first token often stands out tenfold, as an attention sink: it would outweigh all others in a mean.
    Raises ValueError for unequal shapes, no `stream` among them, or more than 256 tokens.
    """
    found = {name: np.asarray(values, dtype=float) for name, values in norms.items()}
    shapes = {values.shape for values in found.values()}
    if stream not in found or len(shapes) != 1 or found[stream].ndim != 2:
        raise ValueError(f"norms of shapes {sorted(shapes)} of {', '.join(found)}: needs [layer, pos], and {stream}")
    n_layers, n_pos = found[stream].shape
    if n_pos > MOST_TOKENS:
        raise ValueError(f"{n_pos} tokens are more than the {MOST_TOKENS} that this picture has room for: give fewer")
    colors = theme(dark)
    left, top = MARGIN + 30, TITLE_HEIGHT + 26
    bottom = top + n_layers * ROW_HEIGHT
    canvas = Canvas(colors, WIDTH, bottom + 36 + SCALE_HEIGHT, title, remark)
    means = {name: values[:, min(1, n_pos - 1) :].mean(axis=1) for name, values in found.items()}
    largest = max(float(np.nanmax(m)) for m in means.values()) or 1.0
    bar = (ROW_HEIGHT - 8) / len(means)
    for i, (name, values) in enumerate(means.items()):
        color = colors.colors[i % len(colors.colors)]
        lengths = np.nan_to_num(values) / largest * (BARS_WIDTH - 50)
        canvas.boxes(
            [[left, top + r * ROW_HEIGHT + 4 + i * bar, lengths[r], bar * 0.86] for r in range(n_layers)], color
        )
        canvas.boxes([[left + i * 92, top - 22, 9, 9]], color)
        canvas.text(left + i * 92 + 13, top - 17, name)
        for r in range(n_layers) if name == stream else ():
            canvas.text(left + lengths[r] + 5, top + r * ROW_HEIGHT + 4 + (i + 0.45) * bar, short(float(values[r])))
    for r in range(n_layers):
        canvas.text(left - 6, top + (r + 0.5) * ROW_HEIGHT, f"L{r}", align="right")
    _draw_map(canvas, found[stream], labels, left + BARS_WIDTH + 20, top, stream)
    return canvas.figure


def _draw_map(canvas: Canvas, norms: ArrayLike, labels: Sequence[str], left: float, top: float, name: str) -> None:
    values = np.asarray(norms, dtype=float)
    n_layers, n_pos = values.shape
    cell = (canvas.width - MARGIN - left) / n_pos
    logs = np.log10(np.maximum(values, 1e-9))
    low, high = float(np.nanmin(logs)), float(np.nanmax(logs))
    high = max(high, low + 0.01)
    shares = (logs - low) / (high - low)
    pixels = to_colors(0.06 + 0.94 * shares, canvas.colors).repeat(ROW_HEIGHT - 2, axis=0)
    # Cells are stretched to the width, each at least a pixel.
    columns = (np.arange(int(cell * n_pos)) / cell).astype(int).clip(0, n_pos - 1)
    sheet = pixels[:, columns].reshape(n_layers, ROW_HEIGHT - 2, len(columns), 3)
    for r in range(n_layers):
        canvas.image(sheet[r], left, top + r * ROW_HEIGHT + 1)
    canvas.text(left, top - 17, f"{name}, layer by token", size=TEXT_SIZE)
    step = max(1, int(-(-30 // cell)))
    for i in range(0, n_pos, step):
        label = shorten(labels[i], 8) if labels and n_pos <= 24 else str(i)
        canvas.text(left + (i + 0.5) * cell, top + n_layers * ROW_HEIGHT + 10, label, align="center")
    ticks = [(at, short(float(f"{10 ** (low + at * (high - low)):.2g}"))) for at in (0.0, 0.5, 1.0)]
    canvas.scale(top + n_layers * ROW_HEIGHT + 32, ticks, "logarithmic scale")
