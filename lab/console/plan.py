"""A plan in the terminal: parts as bars, the schedule drawn, and what is not known named as such."""

from __future__ import annotations

import shlex
from typing import Any

from rich.console import Console, Group
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from lab.console.fit import data_line, model_line
from lab.console.format import named_lines
from lab.forecasting.law import Forecast
from lab.planning.plan import Plan, schedule_values
from lab.planning.sizes import Sizes
from lab.settings.groups import PLAN_OPTIONS
from lab.units import byte_count, duration, short

BAR = 28
BLOCKS = " ▏▎▍▌▋▊▉█"
HEIGHTS = " ▁▂▃▄▅▆▇█"
CHART_ROWS, CHART_COLUMNS = 5, 60
NAMES = {"token_embedding": "token embedding", "position_embedding": "position embedding", "unembedding": "output head"}


def print_plan(console: Console, plan: Plan) -> None:
    """The whole plan, and the command of the fit that it is about."""
    size = plan.sizes
    console.print(facts_table(plan))
    section(console, "Parameters", bars({NAMES.get(k, k): v for k, v in size.parameters.items()}, short))
    section(console, "Compute", rows(compute_lines(size)))
    section(console, "Learning rate", schedule_chart(plan))
    section(console, f"Memory of a step ({memory_sentence(plan)})", bars(memory_parts(plan), byte_count))
    section(console, "Disk", rows({k: byte_count(v) for k, v in size.disk.items()}))
    if plan.rehearsal:
        section(console, "Time and memory, from real steps", rows(measured_lines(plan)))
    section(console, "Where it will end", forecast_lines(plan))
    words = plan.settings.arguments.without(*PLAN_OPTIONS).words()
    console.print(Rule(style="dim"))
    console.print(Text.assemble(("  python -m lab fit " + shlex.join(words), "cyan")), soft_wrap=True)
    if plan.forecasts:
        console.print(Text("  seals these forecasts with the run and scores them at its end", style="dim"))


def section(console: Console, heading: str, body: Any) -> None:
    """A rule with a name, and what is below it."""
    console.print(Rule(Text(heading, style="bold"), align="left", characters="─", style="dim"))
    console.print(body)


def facts_table(plan: Plan) -> Table:
    """What is planned: model, data, length."""
    lines = {
        "model": model_line(plan.settings.module.config, plan.settings.data.context_length),
        "data": data_line(plan.decisions.facts),
        "horizon": plan.decisions.horizon,
    }
    if plan.choice:
        lines["chosen"] = plan.choice.why
    return rows(lines, bold=True)


def rows(lines: dict[str, str], *, bold: bool = False) -> Table:
    """Named lines."""
    return named_lines(lines.items(), style="bold" if bold else "dim", right=True, width=18)


def bars(parts: dict[str, int], shown: Any) -> Table:
    """Numbers with a bar each, as long as their share; what is nothing is left out; `total` and `at once` have none."""
    sums = ("total", "at once", "process")
    most = max([v for k, v in parts.items() if k not in sums], default=1) or 1
    whole = sum(v for k, v in parts.items() if k not in sums) or 1
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim", no_wrap=True, min_width=18)
    table.add_column(justify="right", no_wrap=True, min_width=9)
    table.add_column(no_wrap=True)
    for name, value in parts.items():
        if name in sums:
            table.add_row(Text(name, style="bold"), Text(shown(value), style="bold"), "")
        elif value:
            share = Text.assemble((bar(value / most), "cyan"), (f" {value / whole:.0%}", "dim"))
            table.add_row(name, shown(value), share)
    return table


def bar(part: float, width: int = BAR) -> str:
    """A bar of eighths of a character."""
    eighths = round(8 * width * part)
    full, rest = divmod(eighths, 8)
    return "█" * full + (BLOCKS[rest] if rest else "") or BLOCKS[1]


def compute_lines(size: Sizes) -> dict[str, str]:
    """FLOPs, tokens, passes over the text."""
    lines = {"a token": f"{short(size.flops_per_token)} FLOP, forward and backward"}
    if size.flops is not None and size.tokens is not None and size.tokens_per_parameter is not None:
        ratio = size.tokens_per_parameter
        verdict = (
            "about compute-optimal"
            if 10 <= ratio <= 40
            else "20 is compute-optimal: " + ("undertrained" if ratio < 10 else "trained long for its size")
        )
        lines["in all"] = f"{short(size.flops)} FLOP for {short(size.tokens)} tokens"
        lines["tokens a parameter"] = f"{ratio:.3g} ({verdict})"
    lines["passes over the text"] = "none is seen twice" if size.epochs is None else epochs_line(size.epochs)
    return lines


def epochs_line(epochs: float) -> str:
    """How often the text is read, and what that means."""
    if epochs <= 1:
        return f"{epochs:.2g}"
    return f"{epochs:.3g}" + (" (more than 4 teach little and invite memorising)" if epochs > 4 else "")


def schedule_chart(plan: Plan) -> Group:
    """The learning rate over the run in blocks, its peak beside it, its phases below."""
    steps = plan.decisions.steps
    values = schedule_values(plan, CHART_COLUMNS)
    peaks = plan.settings.module.optimizer_config.learning_rates()
    label = (
        ", ".join(f"{name} {lr:g}" for name, lr in peaks.items())
        if len(peaks) > 1
        else f"{next(iter(peaks.values())):g}"
    )
    lines = []
    for row in range(CHART_ROWS - 1, -1, -1):
        cells = "".join(HEIGHTS[min(8, max(0, round(8 * (v * CHART_ROWS - row))))] for v in values)
        lines.append(
            Text.assemble(("  ", ""), (cells, "cyan"), (f" ← {label}" if row == CHART_ROWS - 1 else "", "dim"))
        )
    phases = plan.settings.module.schedule_config.phases(steps)
    words = " · ".join(f"{name} {b - a:,}" for name, a, b in phases)
    lines.append(Text(f"  {words} steps, ends at {values[-1]:.2g} of its peak", style="dim"))
    return Group(*lines)


def memory_parts(plan: Plan) -> dict[str, int]:
    """The parts, the most at once, and what the whole process will hold."""
    memory = plan.sizes.memory
    return memory.parts() | {"at once": memory.peak, "process": plan.memory_predicted}


def memory_sentence(plan: Plan) -> str:
    """For which kernels and precision."""
    levers = plan.decisions.levers
    return f"{levers.device}, {levers.precision}, {levers.attention} attention, {levers.loss} logits"


def measured_lines(plan: Plan) -> dict[str, str]:
    """Speed, minutes and where they go; memory measured beside predicted."""
    seen = plan.rehearsal
    assert seen is not None
    steps, minutes = plan.decisions.steps, plan.forecasts["minutes"]
    speed = plan.sizes.tokens_per_step / seen.step_seconds
    around = {
        name: s for name, s in sorted(seen.looks.items(), key=lambda item: -item[1]) if s > 0.005 * 60 * minutes.value
    }
    lines = {
        "speed": f"{speed:,.0f} tokens/s, {1000 * seen.step_seconds:.3g} ms a step",
        "time": f"{duration(60 * minutes.value)} ({duration(60 * minutes.low)} to {duration(60 * minutes.high)})",
        "of it": ", ".join(
            [f"{steps:,} steps {duration(steps * seen.step_seconds)}"]
            + [f"{n} {duration(s)}" for n, s in around.items()]
        ),
        "memory, predicted": byte_count(plan.memory_predicted),
        "memory, measured": f"{byte_count(seen.memory_bytes)} after {seen.steps} steps",
    }
    if plan.pilots:
        lines["the pilots took"] = duration(sum(p.seconds for p in plan.pilots))
    return lines


def forecast_lines(plan: Plan) -> Group:
    """The final loss with its interval, where it comes from, and what could not be said."""
    lines = []
    sources = (("final_val_loss", "validation loss"), ("final_val_loss_from_runs", "by finished runs"))
    for name, label in sources:
        found = plan.forecasts.get(name)
        if found is None or (name != "final_val_loss" and found == plan.forecasts.get("final_val_loss")):
            continue
        lines.append(rows({label: loss_sentence(found), "": found.method}))
    for source, why in plan.unsaid.items():
        if source == "finished runs" and plan.pilots:
            continue
        lines.append(rows({source: why}))
    if not plan.pilots and "ladder" not in plan.unsaid:
        lines.append(rows({"ladder": "not trained; --pilot trains one, a tenth of this run's FLOPs"}))
    return Group(*lines)


def loss_sentence(found: Forecast) -> str:
    """`1.88 nats per token (1.84 to 1.92 in 80 of 100 cases)`."""
    noise = f"; seeds alone ±{found.seed_noise:.1%}" if found.seed_noise else ""
    return f"{found.value:.3f} nats per token ({found.low:.3f} to {found.high:.3f} in 80 of 100 cases{noise})"
