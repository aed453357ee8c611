"""Ctrl-C, SIGTERM, a lost terminal and the warning of a batch system end a run at the next step boundary, saved; a
second signal ends it at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

from rich.console import Console

from lab.environment import discard_output
from lab.training.callback import FitCallback, FitContext

console = Console(stderr=True)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU)
"""Batch systems send the last two before the time of a job is up (SLURM: `--signal=USR1@60`)."""


class Interrupts(FitCallback):
    """Turns the first of `SIGNALS` into a clean stop after the step in progress.

    Saving from inside a KeyboardInterrupt is not exact: it lands in the middle of a backward pass or an update. So the
    handler only takes a note, and the training loop acts on it where a checkpoint is whole. A look that is under way is
    broken off (`lab.training.callback.FitContext.interrupted`), so that even a long validation delays it no more than a
    batch does. Outside of the training loop (the data is prepared, the last words are printed) there is nothing to
    finish: the process leaves with the exit code that shells expect, 128 and the signal's number. SIGHUP and what a
    batch system sends stay ignored where they are, as under `nohup`.

    Use as a context manager around everything a fit does.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._training = False
        self._previous: dict[int, Any] = {}
        self._terminals: list[int] = []

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is not threading.main_thread():
            return self  # a notebook's worker: Python lets only the main thread listen to signals
        self._terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]
        self._previous = {number: signal.getsignal(number) for number in SIGNALS}
        for number in SIGNALS[2:]:
            if self._previous[number] is signal.SIG_IGN:
                del self._previous[number]
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _listen(self) -> None:
        for number in self._previous:
            signal.signal(number, self._take_note)

    def _take_note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._let_go_of_terminal()
        if not self._training:
            sys.exit(128 + number)
        if self.signal is not None:  # the second one: no more patience
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.signal = number
        name = signal.Signals(number).name
        console.print(f"\n{name}: finishing this step, then saving. Once more to stop at once.", style="yellow")

    def _let_go_of_terminal(self) -> None:
        """Write to nowhere what would go to it: once it is gone, a line printed there raises EIO."""
        for descriptor in self._terminals:
            discard_output(descriptor)

    def start(self, fit: FitContext) -> None:
        """Listen again: Lightning installs a handler of its own for SIGTERM when it sets up."""
        self._training = True
        fit.interrupted = lambda: self.signal is not None
        self._listen()

    def after_step(self, fit: FitContext) -> None:
        """Ask Lightning to leave its loop; the checkpoint callback, which comes later, saves the state."""
        if self.signal is not None:
            fit.stop(f"by {signal.Signals(self.signal).name}")

    def end(self, fit: FitContext) -> None:
        """From here on an interrupt may end the process at once."""
        self._training = False

    def failed(self, fit: FitContext, error: BaseException) -> None:
        """From here on an interrupt may end the process at once."""
        self._training = False
