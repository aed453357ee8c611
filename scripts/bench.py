"""How fast the lab is beside what one would use instead, measured by turns on this machine.

    python scripts/bench.py                          all benchmarks, one thread (about an hour)
    python scripts/bench.py train --workloads A B --threads 1 2
    python scripts/bench.py overhead startup --json result.json
    python scripts/bench.py startup --beside ../before       how much faster than another checkout
    python scripts/bench.py --quick                  whether everything runs; says nothing about speed

Ratios first: times depend on the machine and its other users, ratios of what ran by turns hardly do. `n/a` is what is
not known. With LAB_DATA_DIR naming a folder that holds tinyshakespeare.txt the text is Shakespeare's; `recipe` needs
it. Huge pages must be asked for before the start: GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python scripts/bench.py
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from scripts.benchmarks.measure import Options, Row, contention, describe_machine

MODULES = {  # of `scripts.benchmarks`, which hold the `run` of each
    "train": "training",
    "recipe": "recipe",
    "generate": "generation",
    "tokenize": "tokenisation",
    "checkpoint": "checkpointing",
    "overhead": "overhead",
    "startup": "startup",
    "instruments": "instruments",
    "looks": "looks",
    "minutes": "minutes",
    "ablate": "ablation",
    "forecast": "forecast",
    "diagnose": "diagnosis",
    "neighbour": "neighbour",
}


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", nargs="*", metavar="BENCHMARK", help=f"{', '.join(MODULES)}; none: all")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[1], help="CPU threads; several: one set of rows each"
    )
    parser.add_argument("--workloads", nargs="+", default=["A", "B", "Bd", "C"], choices=["A", "B", "Bd", "C"])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each recipe")
    parser.add_argument("--race", action="store_true", help="of recipe: only the reference and the fast recipe")
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="another version, of neighbour, looks, startup")
    parser.add_argument("--quick", action="store_true", help="tiny work, a few seconds: does everything run?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    args = parser.parse_args(argv)
    unknown = [name for name in args.benchmarks if name not in MODULES]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(MODULES)}")
    if args.beside is not None:
        if not (args.beside / "lab" / "__main__.py").is_file():
            parser.error(f"--beside {args.beside}: no checkout of this project; `git worktree add` makes one")
        args.beside = args.beside.resolve()
    return args


def main(argv: list[str] | None = None) -> int:
    """Run what is asked for, print a table each, write the JSON."""
    args = parse(argv)
    options = Options(
        tuple(args.threads), args.device, args.quick, tuple(args.workloads), args.seeds, args.beside, args.race
    )
    console = Console(width=None if sys.stdout.isatty() else 160)
    machine = describe_machine(args.device)
    console.print(", ".join(f"{name} {value or 'n/a'}" for name, value in machine.items()))
    rows: list[Row] = []
    for name in args.benchmarks or MODULES:
        before = contention(0.05 if args.quick else 0.5)
        found = importlib.import_module(f"scripts.benchmarks.{MODULES[name]}").run(options)
        after = contention(0.05 if args.quick else 0.5)
        rows += found
        console.print(table(name, found), f"before: {before}; after: {after}\n")
        machine[f"contention.{name}"] = {"before": asdict(before), "after": asdict(after)}
        if args.json:
            args.json.write_text(json.dumps({"machine": machine, "rows": [row.as_dict() for row in rows]}, indent=1))
    return 0


def table(name: str, rows: list[Row]) -> Table:
    """The rows of one benchmark, ratios first."""
    result = Table(title=name, title_justify="left")
    for head in ("workload", "variant", "threads", "ratio", "of medians", "ms p10", "median", "tokens/s", "of ceiling"):
        result.add_column(head, justify="left" if head in ("workload", "variant") else "right")
    result.add_column("")
    for row in rows:
        value = "" if row.value is None else f"{row.value:,.4g} "
        result.add_row(
            row.workload,
            row.variant,
            shown(row.threads, "{}"),
            shown(row.ratio, "{:.2f}x"),
            shown(row.ratio_median, "{:.2f}x"),
            shown(row.p10, "{:,.2f}"),
            shown(row.milliseconds, "{:,.2f}"),
            shown(row.tokens_per_second, "{:,.0f}"),
            shown(row.utilisation, "{:.0%}"),
            f"{value}{row.unit}" + (f"; {row.note}" if row.note else ""),
        )
    return result


def shown(value: float | None, form: str) -> str:
    """A number, or n/a."""
    return "n/a" if value is None else form.format(value)


if __name__ == "__main__":
    sys.exit(main())
