"""Numbers, times, curves, tables and JSON, as every command prints them."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable, Collection, Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lab import units
from lab.files import to_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from lab.runs import Status
    from lab.runs.events import Event

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


def progress(status: Status, show: Callable[[float | None], str], *, percent: bool = True) -> str:
    """Steps done, of how many, and the share; `–` where no step is known."""
    if status.step is None:
        return "–"
    share = f" ({status.step / status.total_steps:.0%})" if percent and status.total_steps else ""
    return f"{show(status.step)}/{show(status.total_steps)}{share}" if status.total_steps else show(status.step)


def event_words(event: Event, leave_out: Collection[str] = ("id",)) -> tuple[str, str]:
    """What happened, and its particulars: `lr changed`, `lr 0.001, factor 0.5`."""
    told = ", ".join(f"{name} {value}" for name, value in event.payload().items() if name not in leave_out)
    return event.kind.replace("_", " "), told


def console(piped_width: int = 80) -> Console:
    """A terminal as wide as it is; a pipe has no width to fold to, so it gets `piped_width`."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else piped_width
    return Console(width=width, highlight=False)


def print_json(value: Any, *, indent: bool = True) -> None:
    """A value as JSON on stdout."""
    sys.stdout.write(to_json(value, indent=indent).decode())


def table(*headings: str, right: Collection[str] = (), style: str = "dim", fold: bool = True) -> Table:
    """An empty table without lines; columns named in `right` are numbers."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=style)
    for heading in headings:
        made.add_column(
            heading, justify="right" if heading in right else "left", overflow="fold" if fold else "ellipsis"
        )
    return made


def named_lines(lines: Iterable[tuple[str, Any]], *, style: str = "dim", right: bool = False, width: int = 0) -> Table:
    """Lines with a name before each: names in `style`, at least `width` wide, at the `right` of their column."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    made.add_column(style=style, no_wrap=True, justify="right" if right else "left", min_width=width)
    made.add_column(overflow="fold")
    for name, text in lines:
        made.add_row(name, Text(str(text)))
    return made


def number(value: float | None, digits: int = 3) -> str:
    """With `digits` after the point; a dash where there is none."""
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
