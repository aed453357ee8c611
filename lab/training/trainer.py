"""Lightning's Trainer with a logbook: the place where callbacks find the run directory they write to."""

from __future__ import annotations

import lightning as L

from lab.training.logbook import Logbook


class LabTrainer(L.Trainer):
    """`lightning.Trainer` whose `logbook` is None outside of a run (`validate`, tests of a module alone)."""

    logbook: Logbook | None = None


def logbook_of(trainer: L.Trainer) -> Logbook:
    """The logbook of a trainer that trains a run. Raises `RuntimeError` where there is none."""
    logbook = getattr(trainer, "logbook", None)
    if logbook is None:
        raise RuntimeError("this callback writes to a run directory: use it with LabTrainer and a Logbook")
    return logbook
