"""A diagnosis in the terminal: a block for each finding; every threshold with its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.console.format import console as make_console
from lab.console.format import table
from lab.diagnosis import RULES, THRESHOLDS, Diagnosis, Finding
from lab.runs import Run
from lab.runs.metrics import describe
from lab.visible import visible

if TYPE_CHECKING:
    from rich.table import Table

STYLES = {"alarm": "bold red", "warning": "yellow", "note": "cyan"}


def print_diagnosis(run: Run, diagnosis: Diagnosis) -> None:
    """A block for each finding: what holds now first, what was seen first before what followed."""
    from rich.text import Text

    console = make_console(piped_width=100)
    evidence = diagnosis.evidence
    planned = f" of {evidence.facts.total_steps:,}" if evidence.facts.total_steps else ""
    console.print(Text.assemble((visible(run.name), "bold"), f"  step {evidence.step:,}{planned}"))
    if not evidence.columns.names():
        console.print("  no metrics yet: nothing to examine")
    elif not diagnosis.findings:
        console.print(f"  no findings: none of the {len(RULES)} rules applies", style="green")
    for finding in diagnosis.findings:
        console.print()
        style = "dim" if finding.ended is not None else STYLES[finding.level]
        console.print(Text.assemble((f"{finding.level:<8}", style), (finding.rule, "bold"), f"  {finding.what}"))
        grid = _grid()
        for label, value in _rows(finding):
            grid.add_row("", label, Text(visible(value)))
        console.print(grid)


def _grid() -> Table:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=6)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _rows(finding: Finding) -> list[tuple[str, str]]:
    rows = [("since", f"step {finding.since:,}, seen at step {finding.step:,}")]
    if finding.value is not None:
        against = "" if finding.threshold is None else f" against {finding.threshold:.4g}"
        rows.append(("measured", f"{finding.metric or 'the plan'} {finding.value:.4g}{against}"))
    metric = describe(finding.metric) if finding.metric else None
    if metric:
        rows.append(("which is", f"{metric.formula} [{metric.unit}]"))
    rows.append(("why", finding.why))
    rows += [("try" if i == 0 else "", remedy) for i, remedy in enumerate(finding.tries)]
    return [*rows, ("rule", finding.source)]


def print_thresholds() -> None:
    """All thresholds in a table."""
    rows = table("threshold", "value", "what is compared", "source", right=("value",), style="bold")
    for name, threshold in THRESHOLDS.items():
        rows.add_row(name, f"{threshold.value:g}", threshold.meaning, threshold.source)
    make_console(piped_width=140).print(rows)
