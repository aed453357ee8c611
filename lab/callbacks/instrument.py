"""What all instruments share: when they look, and that none of them can harm the training they look at.

An instrument looks after an update, when the journal has written its line; what it logs belongs to the step
`trainer.global_step`. It draws from no global random state, leaves the model's mode as it was, and runs the
uncompiled network; so a run's losses are the same bits with it and without it.
"""

from __future__ import annotations

import contextlib
from typing import ClassVar

import lightning as L
from lightning.pytorch.callbacks import Callback

from lab.callbacks.activations import forget
from lab.callbacks.dashboards import Dashboards
from lab.runs.snapshots import is_snapshot_step
from lab.training.module import PretrainingModule
from lab.training.trainer import logbook_of


class Instrument(Callback):
    """A callback that looks at the model at steps 0, 1, 2, 4, 8, …, then every so many, and after the last.

    Most of what is worth seeing happens in the first hundred steps, hence the powers of two. A look that fails
    is named once in events.jsonl (`instrument_failed`) and tried again when it is next due.

    Args:
        every: Optimizer steps between looks after the log-spaced start; 0: never; None: `per_run` of them.
    """

    group: ClassVar[str]
    """Its group in the YAML."""
    per_run: ClassVar[int]
    """Looks of a run, beside the early ones, where `every` is not set."""
    least_steps: ClassVar[int] = 10
    """Then at least so many steps lie between two of them: a run of 20 steps is not looked at 20 times."""

    def __init__(self, every: int | None = None) -> None:
        if problems := self.problems(every):
            raise ValueError("\n".join(problems))
        self.every = every
        self._failed = False

    def problems(self, every: int | None) -> list[str]:
        """What is wrong with the cadence."""
        if every is not None and every < 0:
            return [f"{self.group}.every is {every}: give a number of steps, or 0 to switch it off"]
        return []

    def look(self, trainer: L.Trainer, module: PretrainingModule, step: int) -> None:
        """Measure, draw, write. May raise: `instrument_failed` then says what."""
        raise NotImplementedError

    def due(self, trainer: L.Trainer, step: int) -> bool:
        """Whether to look at the weights after `step` updates."""
        if self.every == 0 or not trainer.is_global_zero:
            return False
        return step >= trainer.max_steps or is_snapshot_step(step, self.cadence(trainer))

    def cadence(self, trainer: L.Trainer) -> int:
        """Steps between two looks after the log-spaced start."""
        return self.every or max(self.least_steps, trainer.max_steps // self.per_run)

    def draws(self, trainer: L.Trainer, step: int) -> bool:
        """Whether a look at `step` may end in pictures."""
        return True

    def dashboards(self, trainer: L.Trainer) -> Dashboards:
        """Where pictures, histograms and texts go."""
        logbook = logbook_of(trainer)
        return Dashboards(logbook.loggers, logbook.tokens_per_step)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Step 0; and the first step of a resumed run, whose dashboards have forgotten it."""
        self.look_if_due(trainer, pl_module, trainer.global_step)

    def on_train_batch_start(self, trainer: L.Trainer, *_: object) -> None:
        """Activations are shared by the instruments of one step, and let go before the next."""
        forget(trainer)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """After the update."""
        self.look_if_due(trainer, pl_module, trainer.global_step)

    def look_if_due(self, trainer: L.Trainer, pl_module: L.LightningModule, step: int) -> None:
        """Look, unless it is not the time; never raises but for an interrupt."""
        if not self.due(trainer, step):
            return
        assert isinstance(pl_module, PretrainingModule)
        try:
            self.look(trainer, pl_module, step)
        except Exception as error:
            self.failed(trainer, step, error)

    def failed(self, trainer: L.Trainer, step: int, error: Exception) -> None:
        """Name this instrument in events.jsonl, the first time only."""
        if self._failed:
            return
        self._failed = True
        # On a full disk not even that can be said; whoever must write will say so.
        with contextlib.suppress(OSError):
            logbook_of(trainer).event(
                "instrument_failed", step, instrument=self.group, error=f"{type(error).__name__}: {error}"
            )
