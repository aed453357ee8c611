"""What a validation measures: the mean loss over windows of held-out text, and how sure it is.

On the whole split it is `val/loss`; on the subset that looks read while a run trains, `val/subset_loss`. A value of one
never carries the name of the other.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lab.data.dataset import LabData
from lab.model import GPT
from lab.model.loss import IGNORED
from lab.runs import metrics


def window_losses(model: GPT, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Nats of the counted targets of each window `[batch]`, and how many those are: what a validation adds up."""
    return model.loss(tokens, targets, reduction="none").sum(-1), (targets != IGNORED).sum(-1)


class WindowSums:
    """Sums over windows from which their mean loss and its standard error follow; they add up across processes.

    `values`: of nats n and counted targets c of each window Σn, Σc, Σn², Σnc, Σc², and of windows that count Σ1.
    """

    def __init__(self, device: torch.device) -> None:
        # A split may hold 1e8 tokens and float32 stops counting at 1.7e7. Apple's GPUs know no float64.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self.values = torch.zeros(6, dtype=dtype, device=device)

    def add(self, nats: Tensor, counted: Tensor) -> None:
        """Windows: their nats and counted targets, `[batch]` each."""
        n, c = nats.to(self.values.dtype), counted.to(self.values.dtype)
        self.values += torch.stack([n.sum(), c.sum(), n @ n, n @ c, c @ c, (c > 0).sum()])

    def loss(self) -> float:
        """Nats per token: a window with fewer targets counts by these, not as a window."""
        return float(self.values[0] / self.values[1])

    def error(self, of: float = math.inf) -> float:
        """The standard error of the loss as that of all `of` windows these were drawn from; NaN of a single window.

        Of a ratio of sums (Cochran 1977, "Sampling Techniques", §6.4), with the correction for a finite population:
        0 where all of them were read.
        """
        nats, counted, nn, nc, cc, windows = map(float, self.values)
        if windows < 2:
            return math.nan
        loss = nats / counted
        squares = max(0.0, nn - 2 * loss * nc + loss * loss * cc)
        return math.sqrt(squares * windows / (windows - 1) * max(0.0, 1 - windows / of)) / counted


def measured(sums: WindowSums, data: LabData | None) -> dict[str, float]:
    """The numbers of a validation by metric, under the names of what `data.val_part` says was read."""
    loss, part = sums.loss(), None if data is None else data.val_part
    if data is None or part is None:
        found = {metrics.VAL_LOSS: loss, metrics.VAL_PERPLEXITY: math.exp(min(loss, 80.0))}
        names, error = (metrics.VAL_LOSS_ERROR, metrics.VAL_BITS_PER_BYTE), sums.error()
    else:
        found = {metrics.VAL_SUBSET_LOSS: loss}
        names = (metrics.VAL_SUBSET_LOSS_ERROR, metrics.VAL_SUBSET_BITS_PER_BYTE)
        error = sums.error(of=data.sequences.n_val)
    if not math.isnan(error):
        found[names[0]] = error
    if data is not None:
        tokens, n_bytes = data.val_counts(part)
        found[names[1]] = loss / (n_bytes / tokens * math.log(2))
    return found
