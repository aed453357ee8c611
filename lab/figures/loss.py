"""The loss over a run, between the baselines that say how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from lab.figures.style import FONT, SMALL_SIZE, Label, Theme, label_at_right, new_figure, set_titles, step_axis, theme

Floats = NDArray[np.float64]
HEADROOM = 0.07  # of a figure's height, above the curves for the names of phases
LETTER_WIDTH = 0.0125  # of a figure's width, a letter of the small size
BAND = 2.0  # standard errors: 19 of 20 times the value that was estimated lies inside
MARK_WIDTH = 0.025  # of a figure's width, a name that stands upright


def draw_loss(
    steps: ArrayLike,
    train: ArrayLike,
    *,
    trend: ArrayLike | None = None,
    val: tuple[ArrayLike, ArrayLike] | None = None,
    val_error: ArrayLike | None = None,
    val_name: str = "val",
    baselines: Mapping[str, float] | None = None,
    unit: str = "nats per token",
    log_x: bool = False,
    log_y: bool = False,
    phases: Sequence[tuple[float, float, str]] = (),
    marks: Sequence[tuple[float, str]] = (),
    title: str = "Loss",
    dark: bool = False,
) -> Figure:
    """Training loss as its trend over its scatter, validation as dots, baselines as dashed labelled lines.

    Args:
        steps: Optimizer steps `[n]`.
        train: Training loss at each `[n]`; NaN leaves a gap. Each is one batch's, hence the scatter.
        trend: The line through it `[n]`, such as `lab.runs.series.trend`; None: the losses themselves.
        val: Steps and losses of the validations.
        val_error: Their standard errors; a band of twice that is drawn around them.
        val_name: What they are called.
        baselines: Losses to compare with, by name: uniform, unigram, bigram, xz, entropy, …
        unit: Of all of them.
        phases: Stretches `(from, to, name)`, shaded in turn and named along the top where there is room.
        marks: `(step, name)` as hairlines, named at their foot unless too close to another.
        log_x: Steps on a logarithmic axis (step 0 has no place there): power laws look straight with both.
        log_y: Losses on a logarithmic axis. Where nothing is above 0 an axis stays linear.

    Raises ValueError where there is nothing to draw or lengths differ.
    """
    x, y = np.asarray(steps, dtype=float), np.asarray(train, dtype=float)
    if x.ndim != 1 or x.shape != y.shape or not len(x):
        raise ValueError(f"draw_loss: needs as many losses as steps, at least one; got {y.shape} and {x.shape}")
    colors = theme(dark)
    figure, axes = new_figure(colors)
    labels = _draw_train(axes, x, y, y if trend is None else np.asarray(trend, dtype=float), colors.colors[0])
    if val is not None and np.size(val[0]):
        labels += _draw_val(axes, val, val_error, val_name, colors.colors[1], colors.background)
    labels += _draw_baselines(axes, colors, baselines or {})
    shown = x if val is None else np.concatenate([x, np.asarray(val[0], dtype=float)])
    _set_axes(axes, shown, log_x and bool((shown > 0).any()), log_y and bool((y > 0).any()))
    _annotate(axes, colors, phases, marks)
    label_at_right(axes, [label for label in labels if np.isfinite(label[0])])
    set_titles(axes, colors, title, "optimizer step", unit)
    return figure


def _draw_train(axes: Axes, x: Floats, y: Floats, trend: Floats, color: str) -> list[Label]:
    axes.plot(x, y, color=color, linewidth=0.6, alpha=0.35)
    axes.plot(x, trend, "o" if len(x) == 1 else "-", color=color, linewidth=1.8, solid_capstyle="round")
    return [_label("train", trend, color)]


def _draw_val(
    axes: Axes, val: tuple[ArrayLike, ArrayLike], error: ArrayLike | None, name: str, color: str, background: str
) -> list[Label]:
    if error is not None:
        values, half = np.asarray(val[1], dtype=float), BAND * np.asarray(error, dtype=float)
        axes.fill_between(val[0], values - half, values + half, color=color, alpha=0.18, linewidth=0)
    axes.plot(*val, color=color, linewidth=0.8, alpha=0.6)
    axes.plot(*val, "o", color=color, markersize=5, markeredgecolor=background, zorder=3, clip_on=False)
    return [_label(name, np.asarray(val[1], dtype=float), color)]


def _draw_baselines(axes: Axes, colors: Theme, baselines: Mapping[str, float]) -> list[Label]:
    for value in baselines.values():
        axes.axhline(value, color=colors.muted, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.8, zorder=1)
    return [(value, f"{name} {value:.2f}", colors.muted) for name, value in baselines.items()]


def _set_axes(axes: Axes, x: Floats, log_x: bool, log_y: bool) -> None:
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


def _annotate(
    axes: Axes, colors: Theme, phases: Sequence[tuple[float, float, str]], marks: Sequence[tuple[float, str]]
) -> None:
    left, right = axes.get_xlim()
    if phases:
        low, high = axes.get_ylim()
        axes.set_ylim(
            low, high * (high / low) ** HEADROOM if axes.get_yscale() == "log" else high + HEADROOM * (high - low)
        )
    across = axes.get_xaxis_transform()
    words: dict[str, Any] = {"transform": across, "fontsize": SMALL_SIZE, "family": FONT, "color": colors.muted}
    for i, (start, end, name) in enumerate(phases):
        shade = colors.grid if i % 2 == 0 else colors.background
        axes.axvspan(start, end, color=shade, alpha=0.45, linewidth=0, zorder=0)
        if _across(axes, end) - _across(axes, start) > LETTER_WIDTH * len(name):
            axes.text(start, 0.985, f" {name}", va="top", ha="left", **words)
    taken: list[float] = []
    for step, name in marks:
        place = _across(axes, step)
        axes.axvline(max(step, left), color=colors.muted, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        if left <= step <= right and all(abs(place - other) > MARK_WIDTH for other in taken):
            taken.append(place)
            axes.text(step, 0.02, f" {name}", rotation=90, va="bottom", ha="right", **words)


def _across(axes: Axes, step: float) -> float:
    """Where a step stands, of the axes' width; step 0 at the left edge of a logarithmic axis."""
    x = axes.get_xaxis_transform().transform((max(step, axes.get_xlim()[0]), 0))[0]
    return float(axes.transAxes.inverted().transform((x, 0))[0])


def _label(name: str, values: Floats, color: str) -> Label:
    """The newest known value, to be written where the line ends."""
    known = values[np.isfinite(values)]
    last = float(known[-1]) if len(known) else float("nan")
    return last, f"{name} {last:.3f}", color
