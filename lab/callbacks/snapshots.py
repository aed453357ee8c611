"""Snapshots to look at: weights only, at steps 0, 1, 2, 4, 8, … and then every k."""

from __future__ import annotations

from dataclasses import asdict

import lightning as L
from lightning.pytorch.callbacks import Callback

from lab.callbacks.reference_loss import reference_loss_now
from lab.runs.atomic import sweep_temporaries
from lab.runs.snapshots import delete_snapshots_beyond, is_snapshot_step, write_snapshot
from lab.training.module import PretrainingModule
from lab.training.trainer import logbook_of

PER_RUN = 20
"""Evenly spaced snapshots of a run, beside the log-spaced early ones: at 0.8M parameters 3 MB each."""


class Snapshots(Callback):
    """Keeps the weights at many moments, so that every analysis can be shown over training time.

    A model learns most in its first hundred steps, hence powers of two at the start. Step 0 is kept too: what the
    untrained model does is the zero of every scale.

    Args:
        every: Optimizer steps between snapshots after the log-spaced start; 0: none; unset: a twentieth of the run.
    """

    def __init__(self, every: int | None = None) -> None:
        if every is not None and every < 0:
            raise ValueError(f"snapshots.every is {every}: give a number of steps, or 0 for no snapshots")
        self.every = every

    def due(self, step: int, total_steps: int) -> bool:
        """Whether to keep the weights after `step` of `total_steps` updates."""
        if self.every == 0:
            return False
        return step >= total_steps or is_snapshot_step(step, self.every or max(1, total_steps // PER_RUN))

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Step 0; and on a resumed run, forget the snapshots of a future that will be trained anew."""
        run = logbook_of(trainer).run
        sweep_temporaries(run.snapshots_dir)
        delete_snapshots_beyond(run, trainer.global_step)
        self._keep_if_due(trainer)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """After the update (and the validation of the same step)."""
        self._keep_if_due(trainer)

    def _keep_if_due(self, trainer: L.Trainer) -> None:
        step, module = trainer.global_step, trainer.lightning_module
        if not self.due(step, trainer.max_steps):
            return
        assert isinstance(module, PretrainingModule)
        logbook = logbook_of(trainer)
        write_snapshot(
            logbook.run,
            step,
            module.model.state_dict(),
            tokens=step * logbook.tokens_per_step,
            losses=module.losses_at(step),
            model_config=asdict(module.config),
            probe_loss=reference_loss_now(trainer),
        )
