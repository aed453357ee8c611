"""Checks what every curve takes for granted: no position sees the future, targets are the next tokens, the text is
shuffled, validation text was never trained on, and dropout is off during validation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lab.callbacks.activations import reference_texts
from lab.callbacks.instrument import Instrument
from lab.data.datamodule import LabDataModule
from lab.interp import run_with_cache
from lab.model import GPT
from lab.runs import metrics
from lab.training.callback import FitContext
from lab.training.step import StepBatch

STRETCHES = 32  # validation sequences that are looked for in the training text: enough to tell a half from nothing
STRETCH_TOKENS = 64  # compared of each: longer than a licence header, so a shared header does not count as a leak
READ_TOKENS = 10_000_000  # read of a longer training text: its first ones
PART_TOKENS = 500_000  # read at a time


class Audit(Instrument):
    """Checks the assumptions that no curve shows: the causal mask, the targets, the order, the split.

    Logs `audit/…` (`lab.runs.metrics`): what concerns the text once, at step 0, what concerns the model and the
    batches at the looks. Two short sequences are read a look, nothing else is computed.

    Args:
        every: Optimizer steps between looks after the log-spaced start; 0: none; None: a twentieth of the run.
    """

    group = "audit"
    per_run = 20

    def __init__(self, every: int | None = None) -> None:
        super().__init__(every)
        self._batch: StepBatch | None = None
        self._training_share: float | None = None

    def before_step(self, fit: FitContext, batch: StepBatch) -> None:
        """Keep the batch of a step that is due."""
        super().before_step(fit, batch)
        self._batch = batch if self.due(fit, fit.step + 1) else None

    def look(self, fit: FitContext) -> None:
        """The model, the newest batch, and before the first step the text."""
        text = reference_texts(fit.data, fit.model.config.context_length)[:1]
        values = {metrics.AUDIT_SEES_FUTURE: sees_future(fit.model, text)}
        if self._batch is not None:
            values |= batch_facts(*self._batch)
            self._batch = None
        if fit.step == 0:
            values |= text_facts(fit.data)
        fit.logbook.log(fit.step, values)

    def before_validation_batch(self, fit: FitContext) -> None:
        """In which mode the model is validated: logged once, and when it changes."""
        if self.every == 0 or not fit.is_main_process:
            return
        modules = list(fit.module.modules())
        share = sum(module.training for module in modules) / len(modules)
        if share != self._training_share:
            self._training_share = share
            fit.logbook.log(fit.step, {metrics.AUDIT_TRAINING_MODE: share})


def sees_future(model: GPT, text: Tensor) -> float:
    """How far logits move when only later tokens change, over the logits' spread; 0 behind a causal mask.

    `text` `[1, pos]`: its second half is replaced, logits of the first half are compared.
    """
    half = text.shape[1] // 2
    if half == 0:
        return 0.0
    other = text.clone()
    other[:, half:] = (other[:, half:] + 1) % model.config.vocab_size
    logits = run_with_cache(model, torch.cat([text, other]), ("logits",))["logits"].float()
    spread = float(logits[0].std())
    moved = float((logits[0, :half] - logits[1, :half]).abs().max())
    return moved / spread if spread > 0 else 0.0


def batch_facts(tokens: Tensor, targets: Tensor) -> dict[str, float]:
    """What a step's batch `[accumulation, batch, pos]` says of targets and order."""
    tokens, targets = tokens.flatten(0, 1), targets.flatten(0, 1)
    counted = targets[:, :-1] >= 0
    n = max(1, int(counted.sum()))
    found = {
        metrics.AUDIT_NEXT_TARGETS: float(((targets[:, :-1] == tokens[:, 1:]) & counted).sum()) / n,
        metrics.AUDIT_SAME_TARGETS: float(((targets[:, :-1] == tokens[:, :-1]) & counted).sum()) / n,
    }
    if len(tokens) > 1:
        # The last target of a sequence is the token after it: does the next sequence begin with that?
        found[metrics.AUDIT_CONSECUTIVE] = float((targets[:-1, -1] == tokens[1:, 0]).double().mean())
    return found


def text_facts(data: LabDataModule) -> dict[str, float]:
    """What is known of a text before anything is learned from it; nothing of a made corpus, which is endless."""
    if data.sequences.per_epoch is None:
        return {}
    train = data.token_files["train"].array()[:READ_TOKENS]
    at = np.linspace(0, data.sequences.n_val - 1, min(STRETCHES, data.sequences.n_val)).astype(int)
    found = zip(*data.sequences.val_rows(at), strict=True)
    stretches = [tokens[targets >= 0][:STRETCH_TOKENS].astype(train.dtype).tobytes() for tokens, targets in found]
    counts, there = np.zeros(data.vocab_size, dtype=np.int64), [False] * len(stretches)
    for start in range(0, len(train), PART_TOKENS):  # a part at a time: memory does not grow with the text
        part = np.asarray(train[start : start + PART_TOKENS + STRETCH_TOKENS])
        counts += np.bincount(part[:PART_TOKENS], minlength=data.vocab_size)
        text = part.tobytes()
        there = [known or stands_in(s, text, train.dtype.itemsize) for known, s in zip(there, stretches, strict=True)]
    return {metrics.AUDIT_UNSEEN_ROWS: float((counts == 0).mean()), metrics.AUDIT_VAL_IN_TRAIN: sum(there) / len(there)}


def stands_in(stretch: bytes, text: bytes, width: int) -> bool:
    """Whether a stretch of ids of `width` bytes each occurs in a text of such ids: 20 ms for ten million of them."""
    at = text.find(stretch)
    while at >= 0 and at % width:  # between two ids
        at = text.find(stretch, at + 1)
    return at >= 0
