"""`python -m lab runs`: all runs under a root in a table; `runs show RUN`: everything of one run on a page.

Reads run directories and nothing else, so it answers in a fraction of a second, also while a run is being
trained. What it prints may come from anywhere (a run directory can be a download), so control characters
are taken out.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from lab.console import calibration
from lab.console.format import console as make_console
from lab.console.format import print_json
from lab.console.runs import LOSSES, START_HINT, print_run, print_table, records_of, summary
from lab.console.terminal import Parser, guarded
from lab.runs import Run, list_runs, open_run

PROGRAM = "python -m lab runs"
USAGE = f"{PROGRAM} [show [RUN] | calibration] [--root ROOT] [--json]"
DESCRIPTION = "List all runs, show one (RUN: a name under the root, a path, or `last`), or see how predictions held."


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(PROGRAM, DESCRIPTION, USAGE)
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    parser.add_root()
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(argv)
    if args.words == ["calibration"]:
        return args
    if args.words[:1] not in ([], ["show"]):
        parser.error(f"unknown argument {args.words[0]!r}: to see one run, `runs show {args.words[0]}`")
    if len(args.words) > 2:
        parser.error(f"show takes one RUN, not {len(args.words) - 1}")
    return args


@guarded
def main(argv: list[str]) -> int:
    """Run the command; 0, or 2 after one line on stderr for input that cannot be used."""
    args = _parse(argv)
    if os.path.exists(args.root) and not os.path.isdir(args.root):
        raise ValueError(f"--root {args.root!r} is not a folder")
    if args.words == ["calibration"]:
        runs = list_runs(args.root)
        if args.json:
            print_json(calibration.as_dict(runs))
        else:
            calibration.print_calibration(runs, make_console(piped_width=100))
        return 0
    if args.words:
        run = open_run(args.words[1] if len(args.words) > 1 else "last", args.root)
        if args.json:
            print_json(_as_dict(run))
        else:
            print_run(run)
        return 0
    runs = list_runs(args.root)
    if args.json:
        print_json([summary(run).as_dict() | {"path": str(run.path)} for run in runs])
    elif runs:
        print_table(runs)
    else:
        print(f"No runs in {args.root!r} yet. Start one:\n  {START_HINT}")
    return 0


def _as_dict(run: Run) -> dict[str, Any]:
    metrics = run.metrics()
    records, problems = records_of(run)
    return {
        "path": str(run.path),
        "status": run.status().as_dict(),
        **records,
        "metrics": {
            "rows": len(metrics),
            "skipped": metrics.skipped,
            "latest": {name: metrics.latest(name) for name in metrics.names()},
            "lowest": {name: metrics.best(name) for name in LOSSES},
        },
        "checkpoints": [info.as_dict() for info in run.checkpoints()],
        "snapshots": [info.as_dict() for info in run.snapshots()],
        "events": [event.as_row() for event in run.events()],
        "problems": problems,
    }
