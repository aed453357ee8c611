"""Predictions: a text coloured by the loss of each token, and the logit lens as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from lab.figures.canvas import MARGIN, SCALE_HEIGHT, TITLE_HEIGHT, WIDTH, Canvas, to_colors
from lab.figures.style import theme
from lab.figures.tokens import shorten

MOST_TOKENS = 512  # of a coloured text: about 900 pixels high
LENS_COLUMNS = 12
LENS_ROWS = 14
_CHARACTER = 8.0  # width of a character of the fixed-width font at this size, in pixels at 100 dpi
_SIZE = 8.0 * 72 / 100 / 0.60205  # 1233 of 2048 units are the width of every one of its characters
_LINE = 26
_RUN = 32
_TINT = 0.5  # the strongest tone of a token or a cell: text must stay readable on it


def draw_token_loss(
    loss: ArrayLike,
    labels: Sequence[str],
    vocab_size: int,
    *,
    title: str = "Loss of each token",
    remark: str = "",
    dark: bool = False,
) -> Figure:
    """A text, each token on the colour of its loss in nats; `loss` `[pos-1]` is that of `labels[1:]`.

    The scale always goes from 0 to ln(vocab_size), the loss of guessing, so that pictures of different steps
    compare. The first token has no loss: nothing came before it. Longer texts are cut to 512 tokens, and the
    picture says so. Raises ValueError where lengths don't fit.
    """
    values = np.asarray(loss, dtype=float)
    if values.shape != (len(labels) - 1,):
        raise ValueError(
            f"losses of shape {list(values.shape)} for {len(labels)} tokens: needs one for each but the first"
        )
    colors = theme(dark)
    guessing = math.log(max(vocab_size, 2))
    cut = len(labels) > MOST_TOKENS
    labels, values = labels[:MOST_TOKENS], values[: MOST_TOKENS - 1]
    mean = f"mean {values.mean():.2f} nats a token" if len(values) else "one token"
    if cut:
        mean += f"; the first {MOST_TOKENS} tokens"
    lines = _wrap([shorten(label, 40) for label in labels], int((WIDTH - 2 * MARGIN) / _CHARACTER))
    top = TITLE_HEIGHT + 4
    height = top + len(lines) * _LINE + 16 + SCALE_HEIGHT
    canvas = Canvas(colors, WIDTH, height, title, remark + (" · " if remark else "") + mean)
    shades = to_colors(_TINT * np.concatenate([[np.nan], values / guessing]).clip(0, 1), colors) / 255
    boxes = []
    for number, line in enumerate(lines):
        y, column = top + number * _LINE, 0
        for label in line:
            boxes.append([MARGIN + column * _CHARACTER, y, len(label) * _CHARACTER - 0.8, _LINE - 4])
            column += len(label)
        _write_line(canvas, "".join(line), MARGIN, y + _LINE / 2 - 2, colors.ink)
    canvas.boxes(boxes, shades)
    ticks = [(0.0, "0"), (_TINT / 2, f"{guessing / 2:.1f}"), (_TINT, f"{guessing:.1f} = ln {vocab_size}")]
    _scale(canvas, height - SCALE_HEIGHT, ticks, "nats, linear; darkest: guessing evenly; grey: no loss (first token)")
    return canvas.figure


def draw_logit_lens(
    tops: Sequence[Sequence[str]],
    probabilities: ArrayLike,
    labels: Sequence[str],
    rows: Sequence[str],
    *,
    targets: Sequence[str] = (),
    title: str = "Logit lens",
    remark: str = "first guess for the next token, read off the residual stream at each depth",
    dark: bool = False,
) -> Figure:
    """The first guesses `tops` `[row][pos]` with their `probabilities` `[row, pos]`, as a table: rows are depths
    (`rows`, input first), columns the tokens of the text; the last line is the next tokens (`targets`, where given).

    At most 12 columns and 14 rows are drawn (evenly chosen rows, the last always); the picture says so.
    """
    found = np.asarray(probabilities, dtype=float)
    if found.shape != (len(rows), len(labels)) or len(tops) != len(rows) or any(len(t) != len(labels) for t in tops):
        raise ValueError(f"a lens of shape {list(found.shape)}: {len(rows)} rows and {len(labels)} tokens were named")
    colors = theme(dark)
    n = min(len(labels), LENS_COLUMNS)
    chosen = _evenly(len(rows), LENS_ROWS)
    notes = [f"first {n} of {len(labels)} tokens"] * (n < len(labels))
    notes += [f"{len(chosen)} of {len(rows)} depths"] * (len(chosen) < len(rows))
    left, top, high = MARGIN + 78, TITLE_HEIGHT + 26, 26
    letters = int((WIDTH - left - MARGIN) / n / _CHARACTER)
    letters = min(letters, 16)
    wide = letters * _CHARACTER
    bottom = top + len(chosen) * high
    canvas = Canvas(colors, WIDTH, bottom + 46 + SCALE_HEIGHT, title, " · ".join([remark, *notes]))
    shades = to_colors(_TINT * np.sqrt(found[chosen, :n]), colors) / 255
    grid = [[left + c * wide, top + r * high, wide - 2, high - 2] for r in range(len(chosen)) for c in range(n)]
    canvas.boxes(grid, shades.reshape(-1, 3))

    def write(labels: Sequence[str], y: float, color: str, weight: str = "normal") -> None:
        cells = [shorten(label, letters - 1).center(letters - 1) + " " for label in labels[:n]]
        _write_line(canvas, "".join(cells), left, y, color, weight)

    write(labels, top - 12, colors.muted)
    for r, row in enumerate(chosen):
        write(tops[row], top + (r + 0.5) * high - 1, colors.ink)
    write(targets, bottom + 12, colors.ink, "bold")
    canvas.text(left - 8, top - 12, "token", align="right")
    for r, row in enumerate(chosen):
        canvas.text(left - 8, top + (r + 0.5) * high - 1, rows[row], align="right")
    if targets:
        canvas.text(left - 8, bottom + 12, "next token", align="right", color=colors.ink)
    ticks = [(at * _TINT, label) for at, label in ((0.0, "0"), (0.1**0.5, "0.1"), (0.5**0.5, "0.5"), (1.0, "1"))]
    _scale(canvas, bottom + 36, ticks, "probability, square-root scale")
    return canvas.figure


def _scale(canvas: Canvas, y: float, ticks: Sequence[tuple[float, str]], words: str) -> None:
    """A colour scale that ends at the strongest tint used."""
    canvas.scale(y, [(at / _TINT, label) for at, label in ticks], words, strongest=_TINT)


def _write_line(canvas: Canvas, line: str, x: float, y: float, color: str, weight: str = "normal") -> None:
    """Characters on a grid, some at a time: cell by cell would take long, and the whole line at once would drift off
    the grid by the font's rounding."""
    for start in range(0, len(line), _RUN):
        run = line[start : start + _RUN].rstrip()
        if run:
            canvas.text(x + start * _CHARACTER, y, run, size=_SIZE, mono=True, color=color, weight=weight)


def _wrap(labels: Sequence[str], width: int) -> list[list[str]]:
    lines: list[list[str]] = [[]]
    used = 0
    for label in labels:
        if used + len(label) > width and lines[-1]:
            lines.append([])
            used = 0
        lines[-1].append(label)
        used += len(label)
    return lines


def _evenly(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    places: NDArray[np.float64] = np.linspace(0, count - 1, most)
    return sorted({round(float(p)) for p in places})
