"""What a validation measures: the mean loss over windows of held-out text, and how sure it is.

On the whole split it is `val/loss`; on the subset that looks read while a run trains, `val/subset_loss`. A value of one
never carries the name of the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.data.dataset import LabData
from lab.model import GPT
from lab.model.loss import IGNORED
from lab.runs import metrics


def window_losses(model: GPT, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Nats of the counted targets of each window `[batch]`, and how many those are: what a validation adds up."""
    return model.loss(tokens, targets, reduction="none").sum(-1), (targets != IGNORED).sum(-1)


@dataclass(frozen=True)
class Strided:
    """The loss on one text in overlapping windows, beside that in disjoint ones; see `strided`."""

    stride: int
    tokens: int  # targets, the same in both
    loss: float  # nats per token
    disjoint: float  # nats per token, as a validation measures it
    error: float  # standard error of the difference, over windows; NaN of a single one


@torch.no_grad()
def strided(model: GPT, stream: Tensor, context: int, stride: int, batch_size: int) -> Strided:
    """The loss on `stream` `[token]` where every window but the first counts its last `stride` targets alone, so that
    each target has at least context - stride tokens before it; in disjoint windows of `context` those at the beginning
    have next to none.

    Costs context / stride times what disjoint windows cost. Raises `ValueError` for a stride that is no number from 1
    to the context, and for a text shorter than a window.
    """
    if not 1 <= stride <= context:
        raise ValueError(f"--stride is {stride}: give a number of tokens from 1 to the context, {context}")
    n = (len(stream) - 1) // context * context
    if not n:
        raise ValueError(f"--stride {stride}: {len(stream)} held-out tokens are less than a window of {context}")
    model.eval()
    overlapping, apart = (_nats_of_targets(model, stream[: n + 1], context, by, batch_size) for by in (stride, context))
    gains = (apart - overlapping).view(-1, context).mean(-1)
    error = float(gains.std()) / math.sqrt(len(gains)) if len(gains) > 1 else math.nan
    return Strided(stride, n, float(overlapping.mean()), float(apart.mean()), error)


def _nats_of_targets(model: GPT, stream: Tensor, context: int, stride: int, batch_size: int) -> Tensor:
    """-ln p of each token of `stream` but the first, each counted in the first window that holds it, fp64."""
    n, device = len(stream) - 1, next(model.parameters()).device
    ends = [*range(context, n, stride), n]
    found, done = torch.empty(n, dtype=torch.float64), 0
    for first in range(0, len(ends), batch_size):
        some = ends[first : first + batch_size]
        windows = torch.stack([stream[end - context : end + 1] for end in some]).to(device)
        nats = model.loss(windows[:, :-1], windows[:, 1:], reduction="none").double().cpu()
        for row, end in zip(nats, some, strict=True):
            found[done:end] = row[context - (end - done) :]
            done = end
    return found


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
