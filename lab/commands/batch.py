"""`python -m lab batch RUN N`: the text that the update from step N to N+1 learned from.

Batch n is a function of (seed, n), so this is a look-up: the run's corpus is opened as its configuration
says, its own tokenizer cuts it, and the sequences of step N are decoded. The run need not have come that far.
"""

from __future__ import annotations

import argparse
import sys
from itertools import groupby
from typing import TYPE_CHECKING, Any

from lab.console.format import print_json
from lab.console.terminal import Parser, guarded
from lab.runs import Run, open_run
from lab.visible import visible

if TYPE_CHECKING:
    from rich.text import Text

    from lab.data.dataset import LabData

END_STYLE, UNSCORED_STYLE = "bold reverse", "dim"


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(prog="python -m lab batch", description="The text of one batch of a run.")
    parser.add_argument("run", metavar="RUN", help="a run's name, a path, or `last`")
    parser.add_argument("step", metavar="N", type=int, help="optimizer steps done before this batch: 0 is the first")
    parser.add_root()
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(argv)


@guarded
def main(argv: list[str]) -> int:
    """Run the command; 0, or 2 after a mistake in the input."""
    args = _parse(argv)
    from lab.loading import load_data

    if args.step < 0:
        raise ValueError(f"N={args.step}: the first batch is 0")
    run = open_run(args.run, args.root)
    total = run.status().total_steps
    if total is not None and args.step >= total:
        print(f"{run.name} has {total:,} steps: it never learns from batch {args.step:,}", file=sys.stderr)
    data = load_data(run, args.step)
    if args.json:
        print_json(as_dict(run, data, args.step))
    else:
        print_batch(run, data, args.step)
    return 0


def sequences(data: LabData, step: int) -> list[tuple[int, list[int], list[int]]]:
    """(micro-batch, tokens, targets) of each sequence of a step, in the order of the batch."""
    tokens, targets = data.step_batch(step)
    return [
        (micro, tokens[micro, i].tolist(), targets[micro, i].tolist())
        for micro in range(tokens.shape[0])
        for i in range(tokens.shape[1])
    ]


def as_dict(run: Run, data: LabData, step: int) -> dict[str, Any]:
    """Plain data, for JSON: `tokens` and `targets` as the model gets them (-1 does not count), and text."""
    return {
        "run": run.name,
        "step": step,
        "epochs": data.epochs_seen(step),
        "context_length": data.context_length,
        "sequences": [
            {
                "micro_batch": micro,
                "text": data.tokenizer.decode(_whole(tokens, targets)),
                "tokens": tokens,
                "targets": targets,
            }
            for micro, tokens, targets in sequences(data, step)
        ],
    }


def print_batch(run: Run, data: LabData, step: int) -> None:
    """The text, a rule above each sequence; ends of documents stand out, what is not predicted is dim."""
    from rich.console import Console
    from rich.rule import Rule
    from rich.text import Text

    console = Console(highlight=False)
    found = sequences(data, step)
    epochs = data.epochs_seen(step)
    where = "" if epochs is None else f", in epoch {int(epochs) + 1}"
    head = f" · batch {step:,}: {len(found)} sequences of {data.context_length} tokens{where}"
    console.print(Text.assemble((visible(run.name), "bold"), head), soft_wrap=True)
    console.print("Each is shown with the token after it, which is only predicted.", style="dim")
    for i, (micro, tokens, targets) in enumerate(found):
        part = f", micro-batch {micro + 1} of {data.accumulation}" if data.accumulation > 1 else ""
        console.print(Rule(f"sequence {i + 1} of {len(found)}{part}", align="left", style="dim"))
        console.print(as_text(data, tokens, targets), soft_wrap=True)


def as_text(data: LabData, tokens: list[int], targets: list[int]) -> Text:
    """One sequence to show: a new line after each end of a document, control characters escaped."""
    from rich.text import Text

    # Token j is predicted from those before it, and counts where target j-1 does; the first is only given.
    scored = [True, *(target >= 0 for target in targets)]

    def style(place: tuple[int, bool]) -> str:
        token, counts = place
        return END_STYLE if token == data.tokenizer.eot_id else "" if counts else UNSCORED_STYLE

    text = Text()
    for name, places in groupby(zip(_whole(tokens, targets), scored, strict=False), key=style):
        ids = [token for token, _ in places]
        if name == END_STYLE:
            for token in ids:
                text.append(data.tokenizer.decode([token]), name).append("\n")
        else:
            text.append(visible(data.tokenizer.decode(ids)), name)
    return text


def _whole(tokens: list[int], targets: list[int]) -> list[int]:
    """All of a sequence: its tokens and, where it counts, the last target."""
    return [*tokens, *targets[-1:]] if targets[-1] >= 0 else tokens
