"""The learning rate over a run, drawn before its first step: what will happen when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lab.figures.style import FONT, SMALL_SIZE, Theme, label_at_right, new_figure, set_titles, short, step_axis, theme

HEADROOM = 1.2  # height of the axes over that of the highest curve, where phases are named above it


def draw_schedule(
    steps: Sequence[float],
    lr_by_group: Mapping[str, Sequence[float]],
    *,
    phases: Sequence[tuple[str, int, int]] = (),
    tokens_per_step: int | None = None,
    title: str = "Learning rate",
    dark: bool = False,
) -> Figure:
    """Learning rates over the steps of a run, with the names and lengths of its phases above.

    Args:
        steps: Ascending optimizer steps `[n]`; the last one is the run's last.
        lr_by_group: Learning rates `[n]` by parameter group; each line is labelled with its peak and last value.
        phases: `(name, first step, step after the last)`, such as warm-up, stable, decay.
        tokens_per_step: Says the length of the run in tokens too.

    Raises ValueError where there is nothing to draw or lengths differ.
    """
    lengths = {name: len(lrs) for name, lrs in lr_by_group.items()}
    if not len(steps) or set(lengths.values()) != {len(steps)}:
        raise ValueError(f"draw_schedule: {len(steps)} steps need as many learning rates a group, got {lengths}")
    colors = theme(dark)
    figure, axes = new_figure(colors, height=3.4)
    ends = []
    for (name, lrs), color in zip(lr_by_group.items(), colors.colors, strict=False):
        axes.plot(steps, lrs, "o" if len(steps) == 1 else "-", color=color, linewidth=2, clip_on=False)
        axes.fill_between(steps, lrs, color=color, alpha=0.08, linewidth=0)
        values = f"{max(lrs):.3g} → {lrs[-1]:.2g}"
        ends.append((lrs[-1], f"{name}\n{values}" if len(lr_by_group) > 1 else values, color))
    total = int(steps[-1]) + 1
    axes.set_xlim(steps[0], total)
    axes.set_ylim(0, 1.04 * max(max(lrs) for lrs in lr_by_group.values()))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    step_axis(axes)
    _name_phases(axes, colors, phases)
    label_at_right(axes, ends, gap=0.13)
    length = f"{total:,} {'step' if total == 1 else 'steps'}"
    if tokens_per_step:
        length += f" of {tokens_per_step:,} tokens: {short(total * tokens_per_step)} tokens"
    set_titles(axes, colors, title, "optimizer step", length)
    return figure


def _name_phases(axes: Axes, colors: Theme, phases: Sequence[tuple[str, int, int]]) -> None:
    """Over the curves a bar for each phase with name and length, and a hairline where the next begins."""
    if not phases:
        return
    left, right = axes.get_xlim()
    top = axes.get_ylim()[1]
    axes.set_yticks([tick for tick in axes.get_yticks() if tick <= top])
    axes.set_ylim(0, HEADROOM * top)
    for i, (name, start, end) in enumerate(phases):
        inset = min(0.004 * (right - left), (end - start) / 4)
        axes.hlines(
            0.985,
            start + inset,
            end - inset,
            color=colors.muted,
            linewidth=2.5,
            alpha=0.55,
            transform=axes.get_xaxis_transform(),
        )
        if i:
            axes.axvline(start, 0, 1 / HEADROOM, color=colors.muted, linewidth=0.8, linestyle=(0, (2, 3)))
        # The name of a narrow phase hangs over its neighbour: the next one, or for the last the one before.
        x, alignment = (start + end) / 2, "center"
        if (end - start) / (right - left) < 0.2:
            x, alignment = (end - inset, "right") if i and i == len(phases) - 1 else (start + inset, "left")
        axes.text(
            x,
            0.955,
            f"{name}, {end - start:,} {'step' if end - start == 1 else 'steps'}",
            transform=axes.get_xaxis_transform(),
            color=colors.muted,
            fontsize=SMALL_SIZE,
            family=FONT,
            ha=alignment,
            va="top",
        )
