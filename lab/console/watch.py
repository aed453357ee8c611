"""A run in the terminal while it trains: state, progress, curve, numbers, newest events and sample."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from lab.console.format import STATE_STYLES, count, duration, event_words, number, progress, sparkline
from lab.runs import EventReader, MetricsHistory, MetricsReader, Run, SampleReader, Status, metrics
from lab.runs.events import CommandAnswered, CommandRefused, Event, Failed, Finding, InstrumentFailed
from lab.runs.lines import Row
from lab.runs.next_commands import RESUMABLE, resume
from lab.visible import visible

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.panel import Panel

LAST_EVENTS, SAMPLE_CHARACTERS, NARROW = 6, 400, 60
SHOWN = (
    *(metrics.VAL_SUBSET_LOSS, metrics.VAL_SUBSET_BITS_PER_BYTE),
    *(metrics.VAL_LOSS, metrics.VAL_PERPLEXITY, metrics.VAL_BITS_PER_BYTE, metrics.TRAIN_LR, metrics.TRAIN_GRAD_NORM),
    *(metrics.PERF_TOKENS_PER_SECOND, metrics.PERF_MEMORY_BYTES),
)
UNTOLD = ("id", "args", "command", "asked")  # of an event


class Watched:
    """What is known of a run, kept up to date by `look`."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.metrics = MetricsHistory()
        self.events: list[Event] = []
        self.sample: Row | None = None
        self.status: Status = run.status()
        self._readers = MetricsReader(run), EventReader(run), SampleReader(run)

    def look(self) -> None:
        """Read what is new."""
        metrics, events, samples = self._readers
        self.metrics.apply(metrics.poll())
        happened, written = events.poll(), samples.poll()
        self.events = ([] if happened.reset else self.events) + happened.events
        self.sample = written.samples[-1] if written.samples else (None if written.reset else self.sample)
        self.status = self.run.status()


def picture(watched: Watched, screen: Console) -> Group:
    """All of it, as wide as the terminal."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    status = watched.status
    style = STATE_STYLES[status.state]
    head = Text.assemble((visible(status.name), "bold"), "  ", (status.state, style), f"  {_progress(status)}")
    parts: list[Any] = [head, *(Text(f"  {visible(why)}", style=style) for why in _remarks(watched.run, status))]
    if status.total_steps:
        bar = ProgressBar(total=status.total_steps, completed=status.step or 0, width=screen.width)
        parts.append(Padding(bar, 0))  # which ends its line
    _, losses = watched.metrics.series(metrics.TRAIN_LOSS)
    if losses:
        parts.append(Text(f"{sparkline(losses, max(8, screen.width - 24))} {number(losses[0])} → {number(losses[-1])}"))
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(1 if screen.width < NARROW else 2):
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(no_wrap=True)
    cells = [cell for name in SHOWN if (cell := _cell(name, watched.metrics.latest(name)))]
    per_row = len(grid.columns) // 2
    for i in range(0, len(cells), per_row):
        grid.add_row(*(word for cell in cells[i : i + per_row] for word in cell))
    parts += [grid] if cells else []
    parts += [_sample(watched.sample)] if watched.sample else []
    parts += [Text(_event(event), style=_event_style(event), overflow="ellipsis", no_wrap=True) for event in
              watched.events[-LAST_EVENTS:]]  # fmt: skip
    return Group(*parts)


def _progress(status: Status) -> str:
    if status.step is None:
        return ""
    done = f"step {progress(status, '{:,}'.format)}"
    elapsed = status.details.get("training_seconds")
    parts = [done, f"{duration(elapsed)} trained" if isinstance(elapsed, int | float) else ""]
    if status.active and status.eta_seconds is not None:
        parts.append(f"{duration(status.eta_seconds)} left")
    return ", ".join(filter(None, parts))


def _remarks(run: Run, status: Status) -> list[str]:
    found = [word for word in (status.reason, status.message) if word]
    if status.state == "stale" and status.heartbeat is not None:
        found.append(f"last heard of {duration(time.time() - status.heartbeat)} ago")
    if status.state in RESUMABLE and run.checkpoints():
        found.append(f"go on: {resume(run)}")
    return found


def _cell(name: str, value: float | None) -> tuple[str, str] | None:
    if value is None or not math.isfinite(value):
        return None
    if name == metrics.TRAIN_LR:
        return name, f"{value:.2e}"
    if name.startswith("perf/"):
        return name, f"{value / 1e6:,.0f} MB" if name.endswith("bytes") else count(value)
    return name, number(value)


def _sample(sample: Row) -> Panel:
    from rich.panel import Panel
    from rich.text import Text

    text = visible(str(sample["text"]))[:SAMPLE_CHARACTERS].strip("\n")
    body = Text.assemble((visible(str(sample.get("prompt", "")))[:SAMPLE_CHARACTERS], "dim"), text)
    return Panel(body, title=f"sample, step {sample['step']:,}", title_align="left", border_style="dim")


def _event(event: Event) -> str:
    step = "" if event.step is None else f"step {event.step:,}"
    kind, told = event_words(event, UNTOLD)
    if isinstance(event, CommandAnswered | CommandRefused):
        kind = f"{event.command} {kind.removeprefix('command ')}"
    said = event.what if isinstance(event, Finding) else told
    return visible(f"{step:>10}  {kind}{f': {said}' if said else ''}".replace("\n", " "))


def _event_style(event: Event) -> str:
    if isinstance(event, Finding):
        return {"alarm": "bold red", "warning": "yellow"}.get(event.level, "")
    return "red" if isinstance(event, Failed | InstrumentFailed | CommandRefused) else "dim"
