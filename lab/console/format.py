"""Numbers, times and curves in few characters, as the commands that show runs print them."""

from __future__ import annotations

import datetime
import os
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lab import units

if TYPE_CHECKING:
    from rich.console import Console

SPARKS = "▁▂▃▄▅▆▇█"
STATE_STYLES = {
    "starting": "cyan",
    "running": "bold green",
    "paused": "yellow",
    "stopped": "blue",
    "completed": "green",
    "failed": "bold red",
    "stale": "magenta",
    "broken": "red",
}


def sparkline(values: list[float], width: int = 16) -> str:
    """A curve in one line of text: the mean of each of `width` equal stretches, as the height of a block."""
    width = min(width, len(values))
    cuts = [round(i * len(values) / width) for i in range(width + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(cuts)]
    low, high = min(means), max(means)
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(SPARKS[round((mean - low) * scale)] for mean in means)


def console(piped_width: int = 200) -> Console:
    """A terminal as wide as it is; a pipe has no width to fold to, so it gets `piped_width`."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else piped_width
    return Console(width=width, highlight=False)


def number(value: float | None, digits: int = 3) -> str:
    """With so many digits after the point; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def count(value: Any) -> str:
    """Five digits in full, unparted since tables are narrow, then 123k, 4.56M, 7.89B; a dash where there is none."""
    return units.count(value).replace(",", "") if isinstance(value, int | float) else "–"


def duration(seconds: float) -> str:
    """Seconds in the largest unit that fits, in whole ones: what is left is not known better."""
    value, unit = units.largest_unit(max(0.0, seconds))
    return f"{value:.0f} {unit}"


def moment(seconds: Any) -> str:
    """A time of the clock on the wall; a dash where there is none."""
    if not isinstance(seconds, int | float):
        return "–"
    try:
        return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return "–"
