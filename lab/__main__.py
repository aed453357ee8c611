"""`python -m lab COMMAND …`: calls `lab.commands.COMMAND.main`, before anything heavy is imported.

`fit`, `plan` and `validate` need Lightning (seconds to import); `--help` and the commands that read run directories
answer in a fraction of a second.
"""

from __future__ import annotations

import importlib
import sys

from lab.environment import run_program

COMMANDS = {
    "fit": "pretrain a model: python -m lab fit --config quickstart",
    "plan": "what a run will cost and where it will end: plan --config quickstart [--pilot]",
    "validate": "measure a run's newest checkpoint on its whole validation split: validate RUN",
    "generate": "let a run's model write: generate RUN --prompt 'def '",
    "runs": "list all runs, or `runs show RUN` for one",
    "watch": "a running run in the terminal: its state, curve, newest sample: watch RUN",
    "control": "control a running run: control RUN pause|resume|stop|checkpoint|sample|lr",
    "diagnose": "what is wrong with a run, with evidence and what to try: diagnose RUN",
    "compare": "runs side by side, seeds together, and whether the difference is real: compare A B …",
    "report": "write the report of a run (or of --all) from its files",
    "batch": "the text of the batch that step N learns from: batch RUN N",
    "tokenizer": "train a BPE vocabulary, or show what one does to a text: tokenizer train|show",
}
COMPUTING = {"fit": True, "plan": True, "validate": False, "generate": False}
"""Commands that compute with several threads → whether they try which way these work best, where that is not known."""
EPILOG = """\
RUN is a name under the runs folder (--root, default `runs`), a path, or `last`.
Each command explains itself: python -m lab COMMAND --help
The page in the browser: python -m analysis_app
From Python:  import lab;  model, tokenizer = lab.load(RUN)"""


def help_text() -> str:
    """The page behind `python -m lab --help`."""
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    head = "usage: python -m lab COMMAND [options]\n\nPretrain a GPT from nothing and look inside it while it learns.\n"
    return "\n".join([head, "commands:", *rows, "", EPILOG])


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for a mistake in the input, 130/143 after Ctrl-C/SIGTERM."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    if argv[0] not in COMMANDS:
        return refuse(argv[0])
    if argv[0] in COMPUTING and not {"-h", "--help", "--check"} & {*argv}:
        from lab.data.cache import cache_root
        from lab.waiting_trial import prepare

        prepare(cache_root(), trial=COMPUTING[argv[0]])
    return importlib.import_module(f"lab.commands.{argv[0]}").main(argv[1:])  # type: ignore[no-any-return]


def refuse(command: str) -> int:
    """One line for a command that does not exist."""
    from lab.checks import did_you_mean

    hint = did_you_mean(command, COMMANDS, f"commands: {', '.join(COMMANDS)}")
    print(f"python -m lab: error: no command {command!r}; {hint}", file=sys.stderr)
    return 2


def command() -> None:
    """`lab` and `python -m lab`: run it and leave with its exit code."""
    run_program(main)


if __name__ == "__main__":
    command()
