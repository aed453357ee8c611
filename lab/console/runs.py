"""Runs in the terminal: all of them in a table, or everything of one on a page.

What is shown may come from anywhere (a run directory can be a download), so control characters are taken out.
"""

from __future__ import annotations

import shlex
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lab import units
from lab.console.format import (
    STATE_STYLES,
    count,
    duration,
    event_words,
    moment,
    named_lines,
    number,
    progress,
    sparkline,
)
from lab.console.format import console as make_console
from lab.runs import CheckpointInfo, MetricsHistory, Run, Status, metrics
from lab.runs.checkpoints import CHECKPOINT_SUFFIX, unusable_files
from lab.runs.events import Event
from lab.runs.facts import NO_RIVALS, as_mapping, as_number, as_text, baselines_of, dig, label_of, with_missing
from lab.runs.next_commands import RESUMABLE, on_run, resume
from lab.runs.validation import SUBSET_OF, curve_metric
from lab.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

LOSSES = (metrics.TRAIN_LOSS, metrics.VAL_LOSS, metrics.VAL_BITS_PER_BYTE)
MODEL_SHAPE = "{n_layers} layers, {n_heads} heads, {d_model} wide; context {context_length}, vocab {vocab_size}"
NARROW = 72  # a terminal with fewer columns gets step and validation loss only, and the names stay readable
LAST_EVENTS = 8
ON_SUBSET = "*"  # behind a validation loss that is not of the whole split
START_HINT = "python -m lab fit --config quickstart"


def summary(run: Run) -> Status:
    """The status; where run.json has no losses, they come from the metrics."""
    status = run.status()
    if not status.losses:
        with suppress(OSError):  # unreadable: the row stays, without numbers
            metrics = run.metrics()
            status.losses.update({name: metrics.latest(name) for name in (*LOSSES, *SUBSET_OF.values())})
    return status


def print_table(runs: Iterable[Run], console: Console | None = None) -> None:
    """A row a run, newest first; below it, what is wrong with those that something is wrong with."""
    from rich.table import Table
    from rich.text import Text

    console = console or make_console(piped_width=200)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("run", overflow="fold", vertical="bottom")
    table.add_column("state", no_wrap=True)
    headings = ["step", "train\nloss", "val\nloss", "bits/\nbyte", "tokens\n/s", "age"]
    shown = [0, 2] if console.width < NARROW else range(len(headings))
    for i in shown:
        table.add_column(headings[i], justify="right", no_wrap=True)
    remarks = []
    for run in reversed(list(runs)):
        status = summary(run)
        style = STATE_STYLES[status.state]
        numbers = (
            progress(status, count, percent=False),
            *(_marked(status.losses, name) for name in LOSSES),
            count(status.tokens_per_second),
            "–" if status.started is None else duration(time.time() - status.started),
        )
        name, state = Text(visible(run.name), style="bold"), Text(status.state, style=style)
        table.add_row(name, state, *(numbers[i] for i in shown))
        if remark := status.reason or (status.message if status.state == "failed" else None):
            remarks.append(Text.assemble((visible(run.name), "bold"), ": ", (visible(remark), style)))
    console.print(table)
    if any(_marked(summary(run).losses, name).endswith(ON_SUBSET) for run in runs for name in LOSSES):
        remarks.insert(0, Text(f"{ON_SUBSET} on a random subset of the validation split", style="dim"))
    if remarks:
        console.print()
    for line in remarks:
        console.print(line)


def print_run(run: Run, console: Console | None = None) -> None:
    """State, what is trained on what, losses, what is saved, what happened last, and what to do next."""
    from rich.rule import Rule
    from rich.text import Text

    console = console or make_console(piped_width=100)
    status, metrics, events = run.status(), run.metrics(), run.events()
    records, problems = records_of(run)
    data = records["data"] or {}
    style = STATE_STYLES[status.state]
    console.print(Text.assemble((visible(run.name), "bold"), "  ", (status.state, style)))
    for remark in filter(None, (status.reason, status.message, *problems)):
        console.print(Text(f"  {visible(remark)}", style=style))
    sections = {
        "Progress": _progress_lines(run, status),
        "Model and data": _setting_lines(run, data),
        "Losses": _loss_lines(run, metrics, data),
        "Saved": _saved_lines(run),
        f"Events, the last of {len(events)}": _event_lines(events),
        "Next": _next_lines(run, status),
    }
    for heading, lines in sections.items():
        if not lines:
            continue
        console.print(Rule(Text(heading, style="bold"), align="left", characters="─", style="dim"))
        console.print(named_lines((visible(label), visible(str(value))) for label, value in lines))


def _marked(losses: Mapping[str, float | None], name: str) -> str:
    """A loss as text; with a mark where it was measured on the subset alone."""
    if losses.get(name) is not None or name not in SUBSET_OF or losses.get(SUBSET_OF[name]) is None:
        return number(losses.get(name))
    return f"{number(losses[SUBSET_OF[name]])}{ON_SUBSET}"


Lines = list[tuple[str, str]]


def _progress_lines(run: Run, status: Status) -> Lines:
    eta = status.eta_seconds if status.active else None
    parent = as_mapping(status.parent)
    parts = {
        "step": progress(status, count),
        "tokens": count(status.tokens),
        "speed": f"{count(status.tokens_per_second)} tokens/s" if status.tokens_per_second else "–",
        "time left": "–" if eta is None else duration(eta),
        "started": moment(status.started),
        "parent": f"{parent.get('run')} at step {parent.get('step')}" if parent else "–",
        "command": status.command or "–",
        "folder": str(run.path),
    }
    return [(label, value) for label, value in parts.items() if value != "–"]


def _setting_lines(run: Run, data: Mapping[str, Any]) -> Lines:
    lines: Lines = []
    weights = run.snapshots() or run.checkpoints()
    if weights and (model := defaultdict(lambda: "n/a", weights[-1].model_config)):
        lines.append(("model", MODEL_SHAPE.format_map(model)))
    if data:
        splits = as_mapping(data.get("splits"))
        sizes = [f"{name} {count(as_number(dig(splits, name, 'tokens')))}" for name in splits]
        tokens = f"; tokens: {', '.join(sizes)}" if sizes else ""
        lines.append(("corpus", f"{as_text(dig(data, 'corpus', 'name')) or units.UNKNOWN}{tokens}"))
        density = data.get("bytes_per_token")
        unit = f"; {density:.2f} bytes per token" if isinstance(density, int | float) else ""
        lines.append(("tokenizer", f"{as_text(dig(data, 'tokenizer', 'name')) or units.UNKNOWN}{unit}"))
    return lines


def _loss_lines(run: Run, history: MetricsHistory, data: Mapping[str, Any]) -> Lines:
    lines: Lines = []
    for name in (*LOSSES, *SUBSET_OF.values()):
        values = history.series(name)[1]
        best = history.best(name)
        if best:
            lowest = "" if name == metrics.TRAIN_LOSS else f"   lowest {number(best[1])} (step {best[0]})"
            curve = f"{sparkline(values)}  {number(values[0])} → {number(values[-1])}{lowest}"
            lines.append((name, curve))
    for unit, name in (("nats_per_token", metrics.VAL_LOSS), ("bits_per_byte", metrics.VAL_BITS_PER_BYTE)):
        reached = history.latest(curve_metric(history, name) if history.latest(name) is None else name)
        if known := with_missing(baselines_of(data, unit)):
            marks = [f"{label_of(name)} {number(value)}{_mark(name, value, reached)}" for name, value in known.items()]
            lines.append((f"to beat, {unit.partition('_')[0]}", ", ".join(marks)))
    if history.skipped:
        lines.append(("damaged", f"{history.skipped} lines of {run.metrics_path.name} were skipped"))
    return lines


def _mark(baseline: str, value: float | None, reached: float | None) -> str:
    """Whether a baseline was beaten."""
    if value is None or reached is None or baseline in NO_RIVALS:
        return ""
    return " ✓" if reached < value else ""


def _saved_lines(run: Run) -> Lines:
    lines: Lines = []
    checkpoints, snapshots = run.checkpoints(), run.snapshots()
    if checkpoints:
        total = units.byte_count(sum(info.size for info in checkpoints))
        lines.append(("checkpoints", f"{', '.join(map(_checkpoint_word, checkpoints))}; {total}"))
    if snapshots:
        total = units.byte_count(sum(info.size for info in snapshots))
        span = f"steps {snapshots[0].step} to {snapshots[-1].step}"
        lines.append(("snapshots", f"{len(snapshots)}, {span}; {total}"))
    if samples := run.samples():
        lines.append(("samples", f"{len(samples)} in {run.samples_path.name}"))
    for path in unusable_files(run.checkpoints_dir, CHECKPOINT_SUFFIX):
        lines.append(("unusable", f"{path.name}: its .json is missing or does not fit it"))
    return lines


def _checkpoint_word(info: CheckpointInfo) -> str:
    names = [*info.aliases, *([info.kind] if info.kind not in ("regular", "final") else [])]
    return f"step {info.step}" + (f" ({', '.join(names)})" if names else "")


def _event_lines(events: list[Event]) -> Lines:
    lines: Lines = []
    for event in events[-LAST_EVENTS:]:
        kind, told = event_words(event)
        step = "" if event.step is None else f"step {event.step}: "
        lines.append((moment(event.wall), f"{step}{kind}{f' ({told})' if told else ''}"[:300]))
    return lines


def _next_lines(run: Run, status: Status) -> Lines:
    lines: Lines = []
    if status.state in RESUMABLE and run.checkpoints():
        lines.append(("go on", resume(run)))
    if run.snapshots() or run.checkpoints():
        lines.append(("let it write", on_run("generate", run, "--prompt", "…")))
    if run.config_path.exists():
        lines.append(("what it read", on_run("batch", run, "0")))
    if run.tensorboard_dir.is_dir():
        lines.append(("curves", f"tensorboard --logdir {shlex.quote(str(run.tensorboard_dir))}"))
    return lines or [("start again", START_HINT)]


def records_of(run: Run) -> tuple[dict[str, dict[str, Any] | None], list[str]]:
    """The single records by name, None where missing or damaged, and what is wrong with the damaged ones."""
    records: dict[str, dict[str, Any] | None] = {}
    problems = []
    for name, read in (("data", run.data), ("config", run.config), ("predictions", run.predictions)):
        try:
            records[name] = read()
        except (ValueError, OSError) as error:
            records[name] = None
            problems.append(str(error))
    return records, problems
