"""The loss over a run, between the baselines that say how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from lab.figures.style import Label, Theme, label_at_right, new_figure, set_titles, step_axis, theme


def draw_loss(
    steps: ArrayLike,
    train: ArrayLike,
    *,
    val: tuple[Sequence[float], Sequence[float]] | None = None,
    baselines: Mapping[str, float] | None = None,
    unit: str = "nats per token",
    log_x: bool = False,
    log_y: bool = False,
    title: str = "Loss",
    dark: bool = False,
) -> Figure:
    """Training loss as a line over its scatter, validation as dots, baselines as dashed labelled lines.

    Args:
        steps: Optimizer steps `[n]`.
        train: Training loss at each `[n]`; NaN leaves a gap. Each is one batch's, hence the scatter, and the
            line is their `moving_average`.
        val: Steps and losses of the validations.
        baselines: Losses to compare with, by name: uniform, unigram, bigram, xz, entropy, …
        unit: Of all of them.
        log_x: Steps on a logarithmic axis (step 0 has no place there): power laws look straight with both.
        log_y: Losses on a logarithmic axis. Where nothing is above 0 an axis stays linear.

    Raises ValueError where there is nothing to draw or lengths differ.
    """
    x, y = np.asarray(steps, dtype=float), np.asarray(train, dtype=float)
    if x.ndim != 1 or x.shape != y.shape or not len(x):
        raise ValueError(f"draw_loss: needs as many losses as steps, at least one; got {y.shape} and {x.shape}")
    colors = theme(dark)
    figure, axes = new_figure(colors)
    labels = _draw_train(axes, x, y, colors.colors[0])
    if val is not None and len(val[0]):
        labels += _draw_val(axes, val, colors.colors[1], colors.background)
    labels += _draw_baselines(axes, colors, baselines or {})
    shown = x if val is None else np.concatenate([x, val[0]])
    _set_axes(axes, shown, log_x and bool((shown > 0).any()), log_y and bool((y > 0).any()))
    label_at_right(axes, [label for label in labels if np.isfinite(label[0])])
    set_titles(axes, colors, title, "optimizer step", unit)
    return figure


def moving_average(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over a window around each value, 2 % of all wide, but never reaching back further than a quarter.

    The first losses fall so fast that a fixed window would smear them; centred, it doesn't lag behind. At the
    end the window loses its right half. NaN are left out and stay NaN.
    """
    n = len(values)
    places = np.arange(n)
    half = np.minimum(n // 100, places // 4)
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    start, stop = places - half, np.minimum(places + half + 1, n)
    return np.where(known, (sums[stop] - sums[start]) / np.maximum(counts[stop] - counts[start], 1), np.nan)


def _draw_train(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], color: str) -> list[Label]:
    smooth = moving_average(y)
    axes.plot(x, y, color=color, linewidth=0.6, alpha=0.35)
    axes.plot(x, smooth, "o" if len(x) == 1 else "-", color=color, linewidth=1.8, solid_capstyle="round")
    return [_label("train", smooth, color)]


def _draw_val(axes: Axes, val: tuple[Sequence[float], Sequence[float]], color: str, background: str) -> list[Label]:
    axes.plot(*val, color=color, linewidth=0.8, alpha=0.6)
    axes.plot(*val, "o", color=color, markersize=5, markeredgecolor=background, zorder=3, clip_on=False)
    return [_label("val", np.asarray(val[1], dtype=float), color)]


def _draw_baselines(axes: Axes, colors: Theme, baselines: Mapping[str, float]) -> list[Label]:
    for value in baselines.values():
        axes.axhline(value, color=colors.muted, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.8, zorder=1)
    return [(value, f"{name} {value:.2f}", colors.muted) for name, value in baselines.items()]


def _set_axes(axes: Axes, x: NDArray[np.float64], log_x: bool, log_y: bool) -> None:
    first, last = x.min(), x.max()
    if log_x:
        axes.set_xscale("log")
        first = x[x > 0].min()
    if log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    step_axis(axes)
    axes.set_xlim(first, max(last, first + 1))


def _label(name: str, values: NDArray[np.float64], color: str) -> Label:
    """The newest known value, to be written where the line ends."""
    known = values[np.isfinite(values)]
    last = float(known[-1]) if len(known) else float("nan")
    return last, f"{name} {last:.3f}", color
