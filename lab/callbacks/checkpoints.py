"""Checkpoints to resume from: on a cadence, at the end, and when the run is asked to stop."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

from lab.callbacks.callback_group import find_callback
from lab.callbacks.reference_loss import reference_loss_now
from lab.callbacks.validation import Validation
from lab.runs.atomic import WriteError, sweep_temporaries
from lab.runs.checkpoints import delete_superseded, keep_checkpoint, record_checkpoint, step_path
from lab.training.checkpoint_io import LabCheckpointIO, Written
from lab.training.module import PretrainingModule
from lab.training.trainer import logbook_of

PER_RUN = 10
"""Without a setting a run saves itself this many times: what a crash costs is then at most a tenth of it."""


class Checkpoints(Callback):
    """Saves everything a run needs to go on exactly: weights, optimizer state, step, clock.

    A checkpoint is taken between two steps, after the validation that falls on the same step, so its facts hold the
    loss of these very weights. `last` and `best` are links, not second copies.

    Args:
        every: Optimizer steps between checkpoints; 0: only at the end and when stopped; unset: a tenth of the
            run, or a little more, at steps that are validated too.
        keep: How many of the newest stay; `best` and milestones stay besides.
        milestones: Checkpoints at multiples of this many steps are never deleted; unset: none.
    """

    def __init__(self, every: int | None = None, keep: int = 2, milestones: int | None = None) -> None:
        problems = []
        if every is not None and every < 0:
            problems.append(f"checkpoint.every is {every}: give a number of steps, or 0 for the end only")
        if keep < 1:
            problems.append(f"checkpoint.keep is {keep}: at least 1 must stay to resume from")
        if milestones is not None and milestones < 1:
            problems.append(f"checkpoint.milestones is {milestones}: give a number of steps of at least 1")
        if problems:
            raise ValueError("\n".join(problems))
        self.every, self.keep, self.milestones = every, keep, milestones
        self._best = float("inf")
        self._saved = -1

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remove what a killed process left half-written; the run's lock is held, so nobody else is writing."""
        sweep_temporaries(logbook_of(trainer).run.checkpoints_dir)
        self._saved = trainer.global_step

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Save when this step is due, is the last one, or the run is asked to stop."""
        _writer(trainer).check()
        step, total = trainer.global_step, trainer.max_steps
        every = self.cadence(trainer)
        milestone = bool(self.milestones) and step % self.milestones == 0
        due = (every > 0 and step % every == 0) or milestone
        if step != self._saved and (due or step >= total or trainer.should_stop):
            kind = "final" if step >= total else "milestone" if milestone else "regular" if due else "interrupted"
            self.save(trainer, kind)

    def save_if_new(self, trainer: L.Trainer, kind: str) -> None:
        """Save, unless this step is saved already."""
        if trainer.global_step != self._saved:
            self.save(trainer, kind)

    def keep_now(self, trainer: L.Trainer) -> Path:
        """A checkpoint of this moment that stays, like a milestone: on the disk when this returns.

        Raises `WriteError`; the run can then go on as if nothing had been asked.
        """
        step, run, before = trainer.global_step, logbook_of(trainer).run, (self._saved, self._best)
        if step == self._saved:
            keep_checkpoint(run, step)
        else:
            try:
                self.save(trainer, "milestone")
                self.finish(trainer)
            except WriteError:
                self._saved, self._best = before
                raise
        return step_path(run.checkpoints_dir, step)

    def finish(self, trainer: L.Trainer) -> None:
        """Wait until all that was saved is written. Raises what a write failed with."""
        _writer(trainer).finish()

    def cadence(self, trainer: L.Trainer) -> int:
        """Steps between two checkpoints, 0 for none: unset, at steps that are validated too, or none could be best."""
        if self.every is not None:
            return self.every
        wanted = max(1, trainer.max_steps // PER_RUN)
        validation = find_callback(trainer, Validation)
        unit = max(1, validation.cadence(trainer.max_steps) if validation else 1)
        return -(-wanted // unit) * unit

    def save(self, trainer: L.Trainer, kind: str) -> None:
        """Write a checkpoint of this moment, in the background where training goes on.

        Raises `WriteError` when the disk is full, at the latest with the next checkpoint; the earlier ones stay whole.
        """
        module, logbook, step = trainer.lightning_module, logbook_of(trainer), trainer.global_step
        assert isinstance(module, PretrainingModule)
        val_loss = module.validated.get("val/loss") if module.validated_at == step else None
        best = val_loss is not None and val_loss < self._best
        if best and val_loss is not None:
            self._best = val_loss
        self._saved = step
        trainer.save_checkpoint(step_path(logbook.run.checkpoints_dir, step))
        facts = {
            "best": best,
            "kind": kind,
            "tokens": step * logbook.tokens_per_step,
            "losses": module.losses_at(step),
            "model_config": asdict(module.config),
            "probe_loss": reference_loss_now(trainer),
        }

        def record(written: Written) -> None:
            record_checkpoint(logbook.run, step, sha256=written.sha256, **facts)
            delete_superseded(logbook.run, keep_last=self.keep)
            logbook.event("checkpoint", step, checkpoint_kind=kind, best=best)

        writer = _writer(trainer)
        writer.once_written(record)
        if kind in ("final", "interrupted"):  # nothing to train meanwhile, and whoever asked wants it on the disk
            writer.finish()

    def state_dict(self) -> dict[str, float]:
        """The best validation loss so far."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Take the best validation loss back from a checkpoint."""
        self._best = state_dict["best"]


def _writer(trainer: L.Trainer) -> LabCheckpointIO:
    writer = trainer.strategy.checkpoint_io
    assert isinstance(writer, LabCheckpointIO)
    return writer
