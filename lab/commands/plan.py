"""`python -m lab plan`: what a run will cost and where it will end, said before it starts."""

from __future__ import annotations

from lab.console.terminal import guarded


@guarded
def main(argv: list[str]) -> int:
    """Plan the fit that the settings describe."""
    from rich.console import Console

    from lab.callbacks.minutes import draw_schedule
    from lab.console.format import console, print_json
    from lab.console.plan import print_plan
    from lab.fitting.quiet import quieten
    from lab.planning.plan import make_plan
    from lab.settings.arguments import Arguments

    quieten()
    arguments = Arguments.of(argv).renamed("root", "run.root")
    # On stderr: a rehearsal and pilots take minutes.
    progress = Console(stderr=True, highlight=False, quiet=arguments.value("json") is not None)
    found = make_plan(arguments, lambda line: progress.print(line, style="dim"))
    values = found.settings.values
    if values.schedule:
        try:
            draw_schedule(found.settings.module, found.decisions.steps, found.settings.data, values.schedule)
        except (OSError, ValueError) as error:
            raise ValueError(f"--schedule {values.schedule}: {error}") from None
    if values.json:
        print_json(found.as_dict())
    else:
        print_plan(console(), found)
    return 0
