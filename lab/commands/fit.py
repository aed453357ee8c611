"""`python -m lab fit`: pretrain, go on with a run (`--resume`), or start from a checkpoint of one (`--fork`)."""

from __future__ import annotations

from lab.console.terminal import guarded, outlive_readers


@guarded
def main(argv: list[str]) -> int:
    """Exit code 0 completed or stopped as asked, 1 not finite, 2 a mistake, 129, 130 or 143 interrupted."""
    outlive_readers()
    from lab.console.fit import TerminalListener, model_line
    from lab.console.format import console
    from lab.fitting.lifecycle import Fit
    from lab.fitting.quiet import quieten
    from lab.model import GPTConfig
    from lab.settings.arguments import Arguments

    quieten()
    screen = console()
    found = Fit(Arguments.of(argv).renamed("root", "run.root"), TerminalListener(screen))
    if found.settings.values.check:
        found.check()
        # The vocabulary is known only once there is data; the size is that of everything else.
        config = GPTConfig(**{**vars(found.settings.values.model.config), "vocab_size": 2})
        screen.print(f"settings are fine: {model_line(config)}, plus its vocabulary")
        return 0
    return found.train().exit_code
