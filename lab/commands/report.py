"""`python -m lab report RUN`: write the report of a run, from its files alone; `--all`: of all runs under a root."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lab.console.terminal import Parser, guarded
from lab.runs import open_run
from lab.runs.paths import RunPaths
from lab.visible import visible

PROGRAM = "python -m lab report"
USAGE = f"{PROGRAM} RUN [--html] [--out FILE] [--root ROOT]\n       {PROGRAM} --all [--html] [--out FILE] [--root ROOT]"
DESCRIPTION = (
    "Write the report of a run (a name under the root, a path, or `last`, the default) into its directory, from"
    " its files alone. What you wrote into an earlier one is kept."
)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(PROGRAM, DESCRIPTION, USAGE)
    parser.add_argument("run", nargs="?", metavar="RUN", help="which run (default: last)")
    parser.add_argument("--all", action="store_true", help="of all runs under the root")
    parser.add_argument("--html", action="store_true", help="also as one self-contained HTML file")
    parser.add_argument("--out", type=Path, help="write this file instead: .md or .html")
    parser.add_root()
    args = parser.parse_args(argv)
    if args.all and args.run:
        parser.error(f"--all is of all runs: leave out {args.run!r}, or leave out --all")
    if args.out is not None:
        if args.out.suffix not in (".md", ".html"):
            parser.error(f"--out {str(args.out)!r}: name a file that ends in .md or .html")
        if args.html and args.out.suffix == ".md":
            parser.error(f"--html and --out {str(args.out)!r} contradict each other: name a file that ends in .html")
        if not args.out.parent.is_dir():
            parser.error(f"--out {str(args.out)!r}: there is no folder {str(args.out.parent)!r}")
    return args


@guarded
def main(argv: list[str]) -> int:
    """Run the command; 0, or 2 after one line on stderr for input that cannot be used."""
    args = _parse(argv)
    from lab.report import Writer, report_on, report_on_all, user_texts_in

    if args.all:
        if os.path.exists(args.root) and not os.path.isdir(args.root):
            raise ValueError(f"--root {args.root!r} is not a folder")
        home, make = RunPaths(Path(args.root)), report_on_all(Path(args.root))
    else:
        run = open_run(args.run or "last", args.root)
        home, make = run, report_on(run)
    writer = Writer(make)
    if args.out is None or args.out.suffix == ".md":
        writer.markdown(args.out or home.report_path)
    if args.html or (args.out is not None and args.out.suffix == ".html"):
        writer.page(args.out or home.report_path.with_suffix(".html"), user_texts_in(home.report_path))
    for path in writer.files:
        print(visible(str(path)))
    for copy in writer.kept:
        print(visible(f"the earlier report was changed outside of the marks for your own text: kept as {copy}"))
    for remark in writer.not_drawn:
        print(visible(remark))
    return 0
