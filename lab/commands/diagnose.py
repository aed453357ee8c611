"""`python -m lab diagnose RUN`: what is wrong with a run, from its files, with evidence and what to try."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

import orjson

from lab.console.terminal import Parser, guarded, visible
from lab.diagnosis import RULES, THRESHOLDS, Diagnosis, Finding, diagnose
from lab.runs import Run, open_run
from lab.runs.metrics import describe

PROGRAM = "python -m lab diagnose"
USAGE = f"{PROGRAM} [RUN] [--root ROOT] [--json] [--thresholds]"
DESCRIPTION = (
    "Examine a run, also one that is being trained, has died or was never finished: what is wrong with it, since "
    "when, by which number, why it matters and what to try. RUN is a name, a path, or `last` (the default)."
)
STYLES = {"alarm": "bold red", "warning": "yellow", "note": "cyan"}


def main(argv: list[str]) -> int:
    """Run the command; 0 whatever is found, or 2 after one line on stderr for input that cannot be used."""
    return guarded(lambda: _run(_parse(argv)))


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(PROGRAM, DESCRIPTION, USAGE)
    parser.add_argument("run", nargs="?", default="last", help="a name under the root, a path, or last")
    parser.add_root()
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--thresholds", action="store_true", help="list every threshold with its source, and leave")
    return parser.parse_args(argv)


def _run(args: argparse.Namespace) -> int:
    if args.thresholds:
        _print_thresholds()
        return 0
    run = open_run(args.run, args.root)
    diagnosis = diagnose(run)
    if args.json:
        sys.stdout.write(orjson.dumps(as_dict(run, diagnosis), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        print_diagnosis(run, diagnosis)
    return 0


def as_dict(run: Run, diagnosis: Diagnosis) -> dict[str, object]:
    """Plain data: what stands at the end, and everything that was told on the way."""

    def plain(findings: Iterable[Finding]) -> list[dict[str, object]]:
        return [{"step": finding.step, **finding.payload()} for finding in findings]

    return {
        "run": run.name,
        "steps": diagnosis.evidence.step,
        "total_steps": diagnosis.evidence.facts.total_steps,
        "findings": plain(diagnosis.findings),
        "told": plain(diagnosis.told),
    }


def print_diagnosis(run: Run, diagnosis: Diagnosis) -> None:
    """A block a finding: what holds now first, and what was seen first before what followed."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 100, highlight=False)
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


def _grid() -> object:
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


def _print_thresholds() -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name, side in (("threshold", "left"), ("value", "right"), ("what is compared", "left"), ("source", "left")):
        table.add_column(name, justify=side, overflow="fold")  # type: ignore[arg-type]
    for name, threshold in THRESHOLDS.items():
        table.add_row(name, f"{threshold.value:g}", threshold.meaning, threshold.source)
    Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(table)
