"""Checkpoints to resume from: on a cadence, at the end, and whatever ends the run before it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.callbacks.validation import Validation
from lab.errors import NonFiniteLoss, WriteError
from lab.files import sweep_temporaries
from lab.runs import metrics
from lab.runs.cadence import Cadence
from lab.runs.checkpoint_state import read_state
from lab.runs.checkpoints import (
    delete_superseded,
    keep_checkpoint,
    list_checkpoints,
    note_losses,
    record_checkpoint,
    step_path,
)
from lab.runs.events import CheckpointSaved
from lab.runs.seams import as_plain
from lab.training.callback import FitCallback, FitContext
from lab.training.checkpoint_io import Written

KEEP = 2  # of the newest: should one be damaged, there is one more
PER_RUN = 10  # checkpoints of a run where nothing is set: a crash then costs at most a tenth of it
LEAST_PER_RUN = 5  # where validations are rarer than this, checkpoints don't wait for them


class Checkpoints(FitCallback):
    """Saves everything a run needs to go on exactly: weights, optimizer state, step, clock.

    A checkpoint is taken between two steps, after the validation that falls on the same step, so its facts hold the
    loss of these very weights. `last` and `best` are links, not second copies. Best is the lowest on the validation
    curve, on the same windows at every checkpoint; after the last step, where that one is another, both are compared on
    the whole split.

    Args:
        every: Optimizer steps between checkpoints; 0: only at the end and when stopped; unset: a tenth of the
            run, or a little more, at steps that are validated too.
        keep: How many of the newest stay; `best` and milestones stay besides. Unset: 2, or 1 on a full disk.
        milestones: Checkpoints at multiples of this many steps are never deleted; unset: none.
    """

    acts_last = True

    def __init__(self, every: int | None = None, keep: int | None = None, milestones: int | None = None) -> None:
        problems = Cadence(every, PER_RUN).problems("checkpoint.every", "for the end only")
        if keep is not None and keep < 1:
            problems.append(f"checkpoint.keep is {keep}: at least 1 must stay to resume from")
        if milestones is not None and milestones < 1:
            problems.append(f"checkpoint.milestones is {milestones}: give a number of steps of at least 1")
        if problems:
            raise ValueError("\n".join(problems))
        self.every, self.keep, self.milestones = every, keep, milestones
        self._best, self._best_by = math.inf, metrics.VAL_LOSS
        self._saved = -1

    def start(self, fit: FitContext) -> None:
        """Remove what a killed process left half-written: the run's lock is held, so no other process writes."""
        run, logbook = fit.logbook.run, fit.logbook
        fit.checkpoint_io.make_room = lambda: (
            logbook.make_room() or (self.keep is None and bool(delete_superseded(run, keep_last=1)))
        )
        sweep_temporaries(run.checkpoints_dir)
        if not fit.compares:
            self._best = math.inf
        self._saved = fit.step if fit.step in (info.step for info in list_checkpoints(run)) else -1

    def after_step(self, fit: FitContext) -> None:
        """Save when this step is due, is the last one, or whoever stops the run has done so."""
        fit.checkpoint_io.check()
        step, total, every = fit.step, fit.total_steps, self.steps_between(fit)
        milestone = self.milestones is not None and step % self.milestones == 0
        due = (every > 0 and step % every == 0) or milestone
        if step != self._saved and (due or step >= total or fit.stopping):
            kind = "final" if step >= total else "milestone" if milestone else "regular" if due else "interrupted"
            self.save(fit, kind)

    def end(self, fit: FitContext) -> None:
        """Save where the loop was left at another moment than the end of a step."""
        self.save_if_new(fit, "final" if fit.step >= fit.total_steps else "interrupted")

    def failed(self, fit: FitContext, error: BaseException) -> None:
        """Save weights that an update which is not finite would ruin, and those that an error between steps left."""
        if isinstance(error, NonFiniteLoss):
            error.kept = self._keep_sound(fit)
        elif fit.step and fit.between_steps and not isinstance(error, WriteError):
            with contextlib.suppress(WriteError):  # the error itself is what is told
                self.save_if_new(fit, "interrupted")

    def _keep_sound(self, fit: FitContext) -> str:
        """Save, unless the weights are of no use; in words what there is to go on from."""
        step, why = fit.step, "the weights of that step are ruined: their loss on any text is not finite"
        if math.isfinite(fit.facts()["probe_loss"]):
            try:
                self.save_if_new(fit, "interrupted")
                return f", saved: weights and newest checkpoint are those of step {step}"
            except WriteError as error:
                why = str(error)
        whole = [info.step for info in list_checkpoints(fit.logbook.run)]
        newest = f"the newest checkpoint is that of step {whole[-1]}" if whole else "there is no checkpoint"
        return f", not saved ({why}); {newest}"

    def save_if_new(self, fit: FitContext, kind: str) -> None:
        """Save, unless this step is saved already."""
        if fit.step != self._saved:
            self.save(fit, kind)

    def keep_now(self, fit: FitContext) -> Path:
        """A checkpoint of this moment that stays, like a milestone: on the disk when this returns.

        Raises `WriteError`; the run can then go on as if nothing had been asked.
        """
        step, run, before = fit.step, fit.logbook.run, (self._saved, self._best)
        if step == self._saved:
            keep_checkpoint(run, step)
        else:
            try:
                self.save(fit, "milestone")
                self.finish(fit)
            except WriteError:
                self._saved, self._best = before
                raise
        return step_path(run.checkpoints_dir, step)

    def finish(self, fit: FitContext) -> None:
        """Wait until all that was saved is written. Raises what a write failed with."""
        fit.checkpoint_io.finish()

    def steps_between(self, fit: FitContext) -> int:
        """0 for none; where unset, at steps that are validated too, else none could be best."""
        return fit.looks.nth.get("checkpoint", 1) * self.planned(fit).steps(fit.total_steps)

    def planned(self, fit: FitContext) -> Cadence:
        """When checkpoints are taken, as long as the budget leaves none out."""
        total, validation = fit.total_steps, fit.find(Validation)
        if self.every is not None or validation is None:
            return Cadence(self.every, PER_RUN, early=False)
        unit = validation.steps_between(total)
        if unit > total // LEAST_PER_RUN:  # a run that is hardly validated may still be interrupted
            unit = validation.cadence.steps(total)
        return Cadence(Cadence(None, PER_RUN).steps(total, unit or 1), PER_RUN, early=False)

    def save(self, fit: FitContext, kind: str) -> None:
        """Write a checkpoint of this moment, in the background where training goes on.

        Raises `WriteError` when the disk is full, at the latest with the next checkpoint; the earlier ones stay whole.
        """
        wins = kind == "final" and self._wins_on_the_whole_split(fit)
        with fit.looks.timed("checkpoint"):
            self._save(fit, kind, wins)

    def _wins_on_the_whole_split(self, fit: FitContext) -> bool:
        """Whether the last weights are better there than those that are best on the subset, which are measured too.

        False where nothing was measured on the whole split, or the budget has no room for a second pass.
        """
        losses, validation = fit.module.losses_at(fit.step), fit.find(Validation)
        own = losses.get(metrics.VAL_LOSS)
        beaten = curve_loss(losses)[1] >= self._best and self._best_by == metrics.VAL_SUBSET_LOSS
        if own is None or validation is None or not beaten or fit.n_processes > 1:
            return False
        self.finish(fit)
        run = fit.logbook.run
        rival = next((info for info in list_checkpoints(run) if "best" in info.aliases), None)
        if rival is None or (measured := validation.measure(fit, read_state(rival.path)["state_dict"])) is None:
            return False
        note_losses(run, rival.step, measured)
        return own < measured[metrics.VAL_LOSS]

    def _save(self, fit: FitContext, kind: str, wins: bool) -> None:
        logbook, step, facts = fit.logbook, fit.step, fit.facts()
        noted = {**logbook.status.noted(), "seams": as_plain(logbook.seams)}
        by, val_loss = curve_loss(facts["losses"])
        if by != self._best_by and val_loss < math.inf:  # losses on another part of the split do not compare
            self._best, self._best_by = math.inf, by
        best = val_loss < self._best or wins
        self._best, self._saved = min(self._best, val_loss), step
        fit.save(step_path(logbook.run.checkpoints_dir, step))

        def record(written: Written) -> None:
            record_checkpoint(logbook.run, step, best=best, kind=kind, sha256=written.sha256, noted=noted, **facts)
            delete_superseded(logbook.run, keep_last=self.keep or KEEP)
            logbook.event(CheckpointSaved(step=step, checkpoint_kind=kind, best=best))

        fit.checkpoint_io.once_written(record)
        if kind in ("final", "interrupted"):  # no step follows, and the file is wanted on the disk
            self.finish(fit)

    def state_dict(self) -> dict[str, Any]:
        """The best validation loss so far, and on what it was measured."""
        return {"best": self._best, "best_by": self._best_by}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best validation loss back from a checkpoint."""
        self._best, self._best_by = state_dict["best"], state_dict.get("best_by", metrics.VAL_LOSS)


def curve_loss(losses: Mapping[str, float]) -> tuple[str, float]:
    """Of what was measured of some weights the value on the validation curve, and which metric that is."""
    by = metrics.VAL_SUBSET_LOSS if metrics.VAL_SUBSET_LOSS in losses else metrics.VAL_LOSS
    return by, losses.get(by, math.inf)
