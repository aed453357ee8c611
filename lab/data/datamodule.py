"""The data of a run behind Lightning's interface: what a trainer calls, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator

import lightning as L
import numpy as np

from lab.data.batches import as_tensor
from lab.data.dataset import Batch, LabData
from lab.data.settings import DataSettings


class LabDataModule(LabData, L.LightningDataModule):
    # What `fit --help` prints of each setting.
    __doc__ = DataSettings.__doc__

    @property
    def world_size(self) -> int:
        """Processes that share a step; 1 outside of a trainer."""
        return self.trainer.world_size if self.trainer else 1

    @property
    def rank(self) -> int:
        """Which of them this is; 0 outside of a trainer."""
        return self.trainer.global_rank if self.trainer else 0

    def prepare_data(self) -> None:
        """Download, learn the vocabulary, tokenise: on one process of a machine, before the others look."""
        self.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Open the token files and check them against the settings."""
        self.check_step()
        _ = self.sequences

    def train_dataloader(self) -> StepStream:
        """One item a step, from the trainer's step on without end.

        `(tokens, targets)`, int64 `[accumulation, batch_size, context_length]`.
        """
        return StepStream(self)

    def val_dataloader(self) -> ValBatches:
        """What `val_part` names of the validation split, `(tokens, targets)` int64 `[batch, context_length]`."""
        return ValBatches(self)


class StepStream:
    """The training loader: step after step without end, from where the trainer is when it begins to read."""

    def __init__(self, data: LabDataModule) -> None:
        self._data = data

    def __iter__(self) -> Iterator[Batch]:
        trainer = self._data.trainer
        step = trainer.global_step if trainer else 0
        while True:
            yield self._data.step_batch(step)
            step += 1


class ValBatches:
    """The validation loader: every sequence of `val_part` once; rank r of W processes takes every W-th batch from r on.

    All have equally many: a process that has none left gets one whose targets are all -1.
    """

    def __init__(self, data: LabDataModule) -> None:
        self._data = data
        self._rows = np.arange(data.sequences.n_val) if data.val_part is None else data.val_part

    def __len__(self) -> int:
        return math.ceil(math.ceil(len(self._rows) / self._data.batch_size) / self._data.world_size)

    def __iter__(self) -> Iterator[Batch]:
        data, source = self._data, self._data.sequences
        for i in range(len(self)):
            start = (i * data.world_size + data.rank) * data.batch_size
            spare = start >= len(self._rows)
            tokens, targets = source.val_rows(self._rows[:1] if spare else self._rows[start : start + data.batch_size])
            yield as_tensor(tokens), as_tensor(np.full_like(targets, -1) if spare else targets)
