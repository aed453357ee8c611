"""Ctrl-C and SIGTERM end a run at the next step boundary, with everything saved; a second one ends it at once."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.console import Console

console = Console(stderr=True)


class Interrupts(Callback):
    """Turns the first SIGINT or SIGTERM into a clean stop after the step in progress.

    Saving from inside a KeyboardInterrupt is not exact: it lands in the middle of a backward pass or an update. So the
    handler only takes a note, and the training loop acts on it where a checkpoint is whole.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Install the handlers here: Lightning installs its own for SIGTERM after `setup`."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._take_note)

    def _take_note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:  # the second one: no more patience
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.signal = number
        name = signal.Signals(number).name
        console.print(f"\n{name}: finishing this step, then saving. Once more to stop at once.", style="yellow")

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Ask Lightning to leave its loop; the checkpoint callback, which comes later, saves the state."""
        if self.signal is not None:
            trainer.should_stop = True
            trainer.limit_val_batches = 0  # else Lightning validates once more before it leaves

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Give the signals back."""
        self._restore()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Give the signals back."""
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._previous.clear()
