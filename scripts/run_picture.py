"""Draw a run's loss between its baselines into a file, from nothing but its run directory.

    python scripts/run_picture.py RUN --out docs/run.png

RUN is a name under the runs folder, a path, or `last`. It may still be training.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from matplotlib.figure import Figure

from lab.figures.loss import draw_loss
from lab.runs import Run, open_run
from lab.runs.facts import baselines_of
from lab.runs.series import trend

DPI = 120


def draw_run(run: Run, *, dark: bool = False) -> Figure:
    """The loss of `run` as far as it has come. Raises `ValueError` for a run that has no loss yet."""
    metrics, data, status = run.metrics(), run.data() or {}, run.status()
    steps, train = metrics.series("train/loss")
    if not steps:
        raise ValueError(f"run {run.name!r} has no loss yet: train it for a step first")
    corpus, tokenizer = data.get("corpus", {}).get("name", "n/a"), data.get("tokenizer", {}).get("name", "n/a")
    tokens = f"{status.tokens / 1e6:.2g}M" if status.tokens else "n/a"
    return draw_loss(
        steps,
        train,
        trend=trend(train),
        val=metrics.series("val/loss"),
        baselines=baselines_of(data),
        title=f"{run.name}: {corpus}, {tokenizer} tokenizer, {tokens} tokens",
        dark=dark,
    )


def main(argv: list[str] | None = None) -> int:
    """Write the picture; 2 for a run that is not there or has nothing to draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", help="a run's name, a path, or `last`")
    parser.add_argument("--out", type=Path, required=True, help="the file to write: .png, .svg or .pdf")
    parser.add_argument("--root", default="runs", help="folder that holds the runs (default: runs)")
    parser.add_argument("--dark", action="store_true", help="light on dark")
    given = parser.parse_args(argv)
    try:
        draw_run(open_run(given.run, given.root), dark=given.dark).savefig(given.out, dpi=DPI)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
