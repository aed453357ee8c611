"""`python -m lab COMMAND …`: sends each command to its room, before anything heavy is imported.

Only `fit`, `plan` and `validate` need Lightning (seconds to import); `--help` and the commands that read run
directories answer in a fraction of a second.
"""

from __future__ import annotations

import importlib
import sys

LIGHTNING_COMMANDS = {
    "fit": "pretrain a model: python -m lab fit --config configs/quickstart.yaml",
    "plan": "what a run will cost and where it will end: plan --config configs/quickstart.yaml [--pilot]",
    "validate": "measure a run's newest checkpoint on its whole validation split: validate RUN",
}
FAST_COMMANDS = {
    "generate": "let a run's model write: generate RUN --prompt 'def '",
    "runs": "list all runs, or `runs show RUN` for one",
    "watch": "a running run in the terminal: its state, curve, newest sample: watch RUN",
    "control": "steer a running run: control RUN pause|resume|stop|checkpoint|sample|lr",
    "diagnose": "what ails a run, with evidence and what to try: diagnose RUN",
    "compare": "runs side by side, seeds together, and whether the difference is real: compare A B …",
    "report": "the retrospective of a run, or of --all, written from its files",
    "batch": "the very text of the batch that step N learns from: batch RUN N",
    "tokenizer": "train a BPE vocabulary, or show what one does to a text: tokenizer train|show",
}
EPILOG = """\
RUN is a name under the runs folder (--root, default `runs`), a path, or `last`.
Each command explains itself: python -m lab COMMAND --help
The page in the browser: python -m analysis_app
From Python:  import lab;  model, tokenizer = lab.load(RUN)"""


def help_text() -> str:
    """The page behind `python -m lab --help`."""
    width = max(map(len, LIGHTNING_COMMANDS | FAST_COMMANDS))
    rows = [f"  {name:<{width}}  {what}" for name, what in (LIGHTNING_COMMANDS | FAST_COMMANDS).items()]
    head = "usage: python -m lab COMMAND [options]\n\nPretrain a GPT from nothing and look inside it while it learns.\n"
    return "\n".join([head, "commands:", *rows, "", EPILOG])


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for a mistake in the input, 130/143 after Ctrl-C/SIGTERM."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    command, rest = argv[0], same_root(argv[0], argv[1:])
    if command in LIGHTNING_COMMANDS:
        from lab.cli import main as lightning_main

        return lightning_main(command, rest)
    if command in FAST_COMMANDS:
        return importlib.import_module(f"lab.commands.{command}").main(rest)
    return refuse(command)


def same_root(command: str, args: list[str]) -> list[str]:
    """`--root` and `--run.root` mean the same to every command: the folder of all runs."""
    ours, other = ("--run.root", "--root") if command in LIGHTNING_COMMANDS else ("--root", "--run.root")
    return [ours + a.removeprefix(other) if a == other or a.startswith(f"{other}=") else a for a in args]


def refuse(command: str) -> int:
    """One line for a command that does not exist."""
    import difflib

    known = [*LIGHTNING_COMMANDS, *FAST_COMMANDS]
    close = difflib.get_close_matches(command, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"commands: {', '.join(known)}"
    print(f"python -m lab: error: no command {command!r}; {hint}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)
