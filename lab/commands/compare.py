"""`python -m lab compare A B …`: runs side by side, seeds of one configuration together, and whether the difference
between configurations is more than luck.
"""

from __future__ import annotations

import argparse
from typing import get_args

from lab.console.comparison import show
from lab.console.format import print_json
from lab.console.terminal import Parser, guarded
from lab.runs import open_run
from lab.runs.aligned_losses import Axis
from lab.runs.comparison import choose_metric, compare, elsewhere, read

PROGRAM = "python -m lab compare"
USAGE = f"{PROGRAM} A B [C …] [--metric val/loss] [--axis tokens|step|time] [--root ROOT] [--json]"
DESCRIPTION = (
    "Compare runs where they are comparable: after as many tokens. Runs that differ in their seed alone are one group;"
    " between groups it says whether the difference is real, or how many seeds it would take to tell."
)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(PROGRAM, DESCRIPTION, USAGE)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="two runs or more: names under the root, or paths")
    parser.add_argument(
        "--metric", help="what to compare (default: val/loss; val/bits_per_byte where vocabularies differ)"
    )
    parser.add_argument(
        "--axis", default="tokens", help="compare at as many tokens, steps or seconds (default: tokens)"
    )
    parser.add_root()
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(argv)
    if args.axis not in get_args(Axis):
        parser.error(f"--axis {args.axis}: choose one of {', '.join(get_args(Axis))}")
    if len(args.runs) < 2:
        parser.error(f"name two runs or more to compare, not {len(args.runs)}")
    if len(args.runs) > 100:
        parser.error(f"{len(args.runs)} runs are more than the 100 that can be compared at once")
    return args


@guarded
def main(argv: list[str]) -> int:
    """Run the command; 0, or 2 after one line on stderr for input that cannot be used."""
    args = _parse(argv)
    found = read(open_run(name, args.root) for name in args.runs)
    if len(found.runs) < 2:
        raise ValueError(f"{next(iter(found.runs))!r} was given twice: name two runs to compare")
    metric = choose_metric(found, args.metric)
    result = compare(found, metric, args.axis, elsewhere(found, metric, args.axis, args.root))
    if args.json:
        print_json(result)
    else:
        show(result)
    return 0
