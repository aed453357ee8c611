"""`python -m lab validate RUN`: the loss of a checkpoint on its whole validation split."""

from __future__ import annotations

from lab.console.terminal import guarded


def main(args: list[str]) -> int:
    """Measure the newest checkpoint of RUN, or the one at RUN@STEP."""
    return guarded(lambda: validate(args))


def validate(args: list[str]) -> int:
    """Measure and print beside the baselines."""
    from lab.console.fit import scoreboard
    from lab.console.format import console
    from lab.fitting import validate as measuring
    from lab.fitting.quiet import quieten
    from lab.settings.arguments import Arguments
    from lab.settings.parse import build_parser

    quieten()
    if args and not args[0].startswith("-"):
        args = ["--weights", *args]
    arguments = Arguments.of(args).renamed("root", "run.root")
    if {"-h", "--help"} & set(args):
        build_parser("validate").parse_args(["--help"])
    if not arguments.value("weights"):
        raise ValueError("say which run to validate: python -m lab validate RUN, or RUN@STEP")
    found = measuring.validate(arguments)
    screen = console()
    screen.print(f"[bold]{found.run.name}[/bold] at step {found.step:,}")
    screen.print(scoreboard(found.losses, found.baselines))
    return 0
