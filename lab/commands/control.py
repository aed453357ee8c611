"""`python -m lab control RUN pause|resume|stop|checkpoint|sample|lr [VALUE]`: steer a run that is being trained.

The command is put into the run's directory and the trainer's answer awaited; it comes when the step in progress is
done. It does not matter how the run was started: here, from the page, or by another process of this machine.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from lab.console.format import print_json
from lab.console.terminal import MISTAKE, Parser, guarded
from lab.runs import Run, open_run
from lab.runs.control import COMMANDS, send_command, wait_for_answer
from lab.runs.events import CommandAnswered, CommandRefused
from lab.runs.next_commands import resume
from lab.visible import visible

PROGRAM = "python -m lab control"
USAGE = f"{PROGRAM} RUN {{{','.join(COMMANDS)}}} [VALUE] [--timeout SECONDS] [--root ROOT] [--json]"
DESCRIPTION = """Ask the trainer of RUN (a name under the root, a path, or `last`) for something, and wait until it
answers. VALUE: of `lr` the factor on the schedule (0.5 halves the learning rate), of `sample` the prompt.
`stop` saves first; `python -m lab fit --resume RUN` goes on."""


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(PROGRAM, DESCRIPTION, USAGE)
    parser.add_argument("run", metavar="RUN", help="a name under the root, a path, or `last`")
    parser.add_argument("command", metavar="COMMAND", help=", ".join(COMMANDS))
    parser.add_argument("value", metavar="VALUE", nargs="?", help="of lr: the factor; of sample: the prompt")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for the answer (default: 30)")
    parser.add_root()
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    args = parser.parse_args(argv)
    if not 0 <= args.timeout <= 86400:
        parser.error(f"--timeout {args.timeout:g}: give seconds from 0 to 86400")
    return args


def _arguments(command: str, value: str | None) -> dict[str, Any]:
    if value is None:
        return {}
    if command == "sample":
        return {"prompt": value}
    if command != "lr":
        raise ValueError(f"{command} takes no value, not {value!r}")
    try:
        return {"value": float(value)}
    except ValueError:
        raise ValueError(f"lr {value!r}: give the factor on the schedule, such as 0.5") from None


@guarded
def main(argv: list[str]) -> int:
    """Run the command; 0 when it was carried out, 2 when it was refused, not answered, or makes no sense."""
    args = _parse(argv)
    known = _arguments(args.command, args.value) if args.command in COMMANDS else {}
    if args.command == "lr" and not known:
        raise ValueError("lr needs a value: the factor on the schedule, such as 0.5")
    run = open_run(args.run, args.root)
    answer = wait_for_answer(run, send_command(run, args.command, **known), args.timeout)
    if args.json:
        print_json(answer and answer.as_row(), indent=False)
    if answer is None:
        status = run.status()
        waits = (
            "it is carried out when the step in progress is done" if status.active else "no process trains it any more"
        )
        raise ValueError(f"no answer within {args.timeout:g} s: run {run.name!r} is {status.state}, {waits}")
    if isinstance(answer, CommandRefused):
        if not args.json:
            print(visible(f"refused: {answer.reason}"), file=sys.stderr)
        return MISTAKE
    if not args.json:
        print(visible(sentence(run, answer)))
    return 0


def sentence(run: Run, answer: CommandAnswered) -> str:
    """What was done, in one line."""
    said = {
        "pause": "paused",
        "resume": f"goes on after {answer.paused_seconds or 0:.1f} s",
        "stop": f"stopped and saved; go on: {resume(run)}",
        "checkpoint": f"saved as {answer.file}",
        "sample": f"{answer.prompt or ''}{answer.text or ''}".replace("\n", "⏎"),
        "lr": f"learning rate × {answer.lr_scale} of the schedule, before × {answer.before}",
    }
    return f"{run.name} at step {answer.step:,}: {said[answer.command]}"
