"""How good predictions were, the user's and the lab's, over all runs: `python -m lab runs calibration`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lab.console.format import table
from lab.runs import Run
from lab.runs.predictions import BY, Predictions, calibration, read_predictions
from lab.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

HINT = "python -m lab fit --config quickstart --predict.final_loss '[2.7, 3.0]'"
MEANING = (
    "width, score: mean width of the intervals, and mean interval score (smaller is better; a miss costs ten times its"
    " distance at 80 %), in per cent of the outcome"
)


def gather(runs: Iterable[Run]) -> tuple[list[Predictions], list[str]]:
    """The predictions of all runs, and a sentence for each file that cannot be read."""
    found, problems = [], []
    for run in runs:
        try:
            one = read_predictions(run)
        except (ValueError, OSError) as error:
            problems.append(str(error))
        else:
            found += [one] if one else []
    return found, problems


def as_dict(runs: Iterable[Run]) -> dict[str, Any]:
    """Plain data, for JSON."""
    found, problems = gather(runs)
    lines = [asdict(line) | {"sentence": line.sentence} for line in calibration(found)]
    return {"runs": len(found), "calibration": lines, "problems": problems}


def print_calibration(runs: Iterable[Run], console: Console) -> None:
    """A sentence for each predictor and a table below; what there is to do where nothing was predicted."""
    from rich.text import Text

    found, problems = gather(runs)
    lines = calibration(found)
    for line in lines:
        if line.quantity == "all":
            console.print(Text(f"{line.sentence[0].upper()}{line.sentence[1:]}." if line.intervals else line.sentence))
    if not lines:
        waiting = sum(bool(one.predictions) for one in found)
        console.print(f"No prediction has been scored yet ({waiting} are sealed). Make one:\n  {HINT}", soft_wrap=True)
    else:
        right = ("scored", "intervals", "held", "width", "score", "median error")
        rows = table("who", "what", *right, right=right, style="bold", fold=False)
        for line in lines:
            held = f"{line.inside} of {line.intervals}" if line.intervals else "–"
            shares = ("–" if part is None else f"{part:.1%}" for part in (line.width, line.score, line.error))
            rows.add_row(BY[line.by][0], line.quantity, str(line.scored), str(line.intervals), held, *shares)
        console.print(rows)
        console.print(Text(MEANING, style="dim"))
    for problem in problems:
        console.print(Text(visible(problem), style="red"))
