"""`python -m lab validate RUN`: the loss of a checkpoint on what its run is validated on."""

from __future__ import annotations

from lab.console.terminal import guarded


@guarded
def main(argv: list[str]) -> int:
    """Measure the newest checkpoint of RUN, or the one at RUN@STEP."""
    from lab.console.fit import scoreboard
    from lab.console.format import console
    from lab.fitting import validate as measuring
    from lab.fitting.quiet import quieten
    from lab.settings.arguments import Arguments
    from lab.settings.parse import build_parser

    quieten()
    if argv and not argv[0].startswith("-"):
        argv = ["--weights", *argv]
    arguments = Arguments.of(argv).renamed("root", "run.root")
    if {"-h", "--help"} & set(argv):
        build_parser("validate").parse_args(["--help"])
    if not arguments.value("weights"):
        raise ValueError("say which run to validate: python -m lab validate RUN, or RUN@STEP")
    found = measuring.validate(arguments)
    screen = console()
    windows = f"{n:,} random windows, " if (n := found.read.get("random_windows")) else ""
    screen.print(f"[bold]{found.run.name}[/bold] at step {found.step:,}, on {windows}{found.read['tokens']:,} tokens")
    if found.other_text:
        screen.print(
            f"The held-out text is not that of the run's beginning ({found.other_text}): it may have learned from it.",
            style="yellow",
            soft_wrap=True,
        )
    screen.print(scoreboard(found.losses, found.baselines))
    if (overlap := found.strided) is not None:
        screen.print(
            f"On the first {overlap.tokens:,} of the held-out tokens {overlap.loss:.4f} nats per token in windows that"
            f" begin every {overlap.stride:,}, {overlap.disjoint:.4f} in disjoint ones, where the context begins anew:"
            f" {overlap.disjoint - overlap.loss:+.4f} ± {overlap.error:.4f} by what the context holds.",
            soft_wrap=True,
        )
    return 0
