"""Snapshots to look at: weights only, at steps 0, 1, 2, 4, 8, … and then every k."""

from __future__ import annotations

from lab.errors import WriteError
from lab.files import sweep_temporaries
from lab.runs.cadence import Cadence
from lab.runs.snapshots import delete_snapshots_beyond, write_snapshot
from lab.training.callback import FitCallback, FitContext

PER_RUN = 20  # evenly spaced snapshots of a run, beside the log-spaced early ones: at 0.8M parameters 3 MB each


class Snapshots(FitCallback):
    """Keeps the weights at many moments, so that every analysis can be shown over training time.

    Step 0 is kept too: what the untrained model does is the zero of every scale.

    Args:
        every: Optimizer steps between snapshots after the log-spaced start; 0: none; unset: a twentieth of the run.
    """

    def __init__(self, every: int | None = None) -> None:
        self.every = every
        if problems := self.cadence.problems("snapshots.every", "for no snapshots"):
            raise ValueError("\n".join(problems))

    @property
    def cadence(self) -> Cadence:
        """When the weights are kept."""
        return Cadence(self.every, PER_RUN)

    def start(self, fit: FitContext) -> None:
        """Step 0; and on a resumed run, forget the snapshots of a future that will be trained anew."""
        sweep_temporaries(fit.logbook.run.snapshots_dir)
        delete_snapshots_beyond(fit.logbook.run, fit.step)
        self.after_step(fit)

    def after_step(self, fit: FitContext) -> None:
        """After the update (and the validation of the same step)."""
        if self.cadence.due(fit.step, fit.total_steps, fit.looks.nth.get("snapshots", 1)) and not fit.interrupted():
            try:
                with fit.looks.timed("snapshots"):
                    write_snapshot(fit.logbook.run, fit.step, fit.model.state_dict(), **fit.facts())
            except WriteError as error:
                fit.logbook.failure("snapshots", fit.step, error)
