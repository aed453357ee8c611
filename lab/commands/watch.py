"""`python -m lab watch RUN`: a run in the terminal while it trains: state, progress, curve, numbers, newest sample.

Follows the run's files with cursors, as the page does, so it may be started, stopped and started again at will, on a
run that is over too. Without a terminal, and with `--once`, it prints one picture and leaves.
"""

from __future__ import annotations

import argparse
import time

from lab.console.format import console
from lab.console.terminal import Parser, guarded
from lab.console.watch import Watched, picture
from lab.runs import open_run
from lab.runs.heartbeats import may_still_move

PROGRAM = "python -m lab watch"
USAGE = f"{PROGRAM} [RUN] [--once] [--root ROOT]"
DESCRIPTION = "Show RUN (a name under the root, a path, or `last`) while it trains; Ctrl-C ends the watching alone."
SECONDS = 0.5  # between two pictures


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(PROGRAM, DESCRIPTION, USAGE)
    parser.add_argument("run", metavar="RUN", nargs="?", default="last", help="a name, a path, or `last` (the default)")
    parser.add_argument("--once", action="store_true", help="print one picture and leave")
    parser.add_root()
    return parser.parse_args(argv)


@guarded
def main(argv: list[str]) -> int:
    """Run the command; 0, or 2 after one line for input that cannot be used."""
    args = _parse(argv)
    watched, screen = Watched(open_run(args.run, args.root)), console(piped_width=100)
    watched.look()
    if args.once or not screen.is_terminal:
        screen.print(picture(watched, screen))
        return 0
    from rich.live import Live

    with Live(picture(watched, screen), console=screen, auto_refresh=False, vertical_overflow="crop") as live:
        while watched.status.active or may_still_move(watched.run.status_path):
            try:
                time.sleep(SECONDS)
            except KeyboardInterrupt:
                break
            watched.look()
            live.update(picture(watched, screen), refresh=True)
    return 0
