"""Ctrl-C and SIGTERM end a run at the next step boundary, with everything saved; a second one ends it at once."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any

from rich.console import Console

from lab.training.callback import FitCallback, FitContext

console = Console(stderr=True)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts(FitCallback):
    """Turns the first SIGINT or SIGTERM into a clean stop after the step in progress.

    Saving from inside a KeyboardInterrupt is not exact: it lands in the middle of a backward pass or an update. So the
    handler only takes a note, and the training loop acts on it where a checkpoint is whole. Outside of the training
    loop (the data is prepared, the last words are printed) there is nothing to finish: the process leaves with the
    exit code that shells expect, 130 or 143.

    Use as a context manager around everything a fit does.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.why: str | None = None
        """What ended the training before its end, in a word or two."""
        self._training = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is not threading.main_thread():
            return self  # a notebook's worker: Python lets only the main thread listen to signals
        self._previous = {number: signal.getsignal(number) for number in SIGNALS}
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _listen(self) -> None:
        for number in self._previous:
            signal.signal(number, self._take_note)

    def _take_note(self, number: int, frame: FrameType | None) -> None:
        if not self._training:
            sys.exit(128 + number)
        if self.signal is not None:  # the second one: no more patience
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.signal = number
        name = signal.Signals(number).name
        console.print(f"\n{name}: finishing this step, then saving. Once more to stop at once.", style="yellow")

    def start(self, fit: FitContext) -> None:
        """Listen again: Lightning installs a handler of its own for SIGTERM when it sets up."""
        self._training = True
        self._listen()

    def after_step(self, fit: FitContext) -> None:
        """Ask Lightning to leave its loop; the checkpoint callback, which comes later, saves the state."""
        if self.signal is not None:
            self.leave(fit, signal.Signals(self.signal).name)

    def leave(self, fit: FitContext, why: str) -> None:
        """End the training with the step that was just done."""
        self.why = why
        fit.stop()

    def end(self, fit: FitContext) -> None:
        """From here on an interrupt may end the process at once."""
        self._training = False

    def failed(self, fit: FitContext, error: BaseException) -> None:
        """From here on an interrupt may end the process at once."""
        self._training = False
