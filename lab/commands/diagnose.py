"""`python -m lab diagnose RUN`: what is wrong with a run, from its files, with evidence and what to try."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from lab.console.diagnosis import print_diagnosis, print_thresholds
from lab.console.format import print_json
from lab.console.terminal import Parser, guarded
from lab.diagnosis import Diagnosis, Finding, diagnose
from lab.runs import Run, open_run

PROGRAM = "python -m lab diagnose"
USAGE = f"{PROGRAM} [RUN] [--root ROOT] [--json] [--thresholds]"
DESCRIPTION = (
    "Examine a run, also one that is being trained, has died or was never finished: what is wrong with it, since "
    "when, by which number, why it matters and what to try. RUN is a name, a path, or `last` (the default)."
)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(PROGRAM, DESCRIPTION, USAGE)
    parser.add_argument("run", nargs="?", default="last", help="a name under the root, a path, or last")
    parser.add_root()
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--thresholds", action="store_true", help="list every threshold with its source, and leave")
    return parser.parse_args(argv)


@guarded
def main(argv: list[str]) -> int:
    """Run the command; 0 whatever is found, or 2 after one line on stderr for input that cannot be used."""
    args = _parse(argv)
    if args.thresholds:
        print_thresholds()
        return 0
    run = open_run(args.run, args.root)
    diagnosis = diagnose(run)
    if args.json:
        print_json(as_dict(run, diagnosis))
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
