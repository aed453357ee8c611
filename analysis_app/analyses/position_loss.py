"""The validation text that lies in a run's data.json, as the model reads it: what long analyses run over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from analysis_app.analyses.views import Array
from analysis_app.library.runs import Library, Opened
from analysis_app.server.jobs import considerate, no_progress
from lab import interp
from lab.interp.ablation import Progress

BYTES_AT_ONCE = 2**26  # of logits
TOKENS_AT_ONCE = 2048  # a fraction of a second, after which others have their turn


@dataclass(frozen=True)
class PositionLoss:
    """How the loss falls with context; entry t is for the token that t+1 tokens come before."""

    run: str
    step: int | None
    loss: Array  # [pos-1] nats per token, the mean over the pieces
    error: Array  # [pos-1] standard error of that mean
    pieces: int  # of validation text, each read from its start
    in_context: float | None  # late quarter less early quarter: below 0 where context helps


def validation_ids(opened: Opened) -> list[int]:
    """The slice of validation text in data.json. Raises `ValueError` where there is none, or none that can be."""
    run = opened.loaded.run
    try:
        ids = [int(i) for i in ((run.data() if run else None) or {})["val_slice"]["tokens"]]
    except (ValueError, KeyError, TypeError):
        ids = []
    if not ids or not all(0 <= i < opened.tokenizer.vocab_size for i in ids):
        raise ValueError(
            f"no validation text lies beside the weights of {opened.loaded.name!r}: its data.json has none"
        )
    return ids


def validation_pieces(opened: Opened) -> torch.Tensor:
    """That slice in pieces as long as the model can look at, `[piece, pos]`; the rest that fills none is left out."""
    ids = torch.tensor(validation_ids(opened))
    length = min(opened.model.config.context_length, len(ids))
    return ids[: len(ids) // length * length].view(-1, length)


def position_loss(
    library: Library, run: str, step: int | None = None, progress: Progress = no_progress
) -> PositionLoss:
    """The mean loss at each position over the validation slice, some pieces a forward pass."""
    opened = library.open(run, step)
    return library.results.get((opened.key, "position_loss"), lambda: _position_loss(opened, progress))


def _position_loss(opened: Opened, progress: Progress) -> PositionLoss:
    pieces = validation_pieces(opened)
    if pieces.shape[1] < 2:
        raise ValueError("the validation text is one token long: nothing to predict")
    size = interp.estimate_bytes(opened.model, 1, pieces.shape[1], interp.PREDICTION_SITES)
    batches = pieces.split(max(1, min(BYTES_AT_ONCE // size, TOKENS_AT_ONCE // pieces.shape[1])))
    losses = []
    with opened.lock:
        tell = considerate(opened, progress)
        for i, batch in enumerate(batches):
            cache = interp.run_with_cache(opened.model, batch, interp.PREDICTION_SITES)
            losses.append(interp.token_losses(cache))
            tell(i + 1, len(batches))
    found = np.concatenate(losses)
    mean = found.mean(0)
    return PositionLoss(
        run=opened.loaded.name,
        step=opened.loaded.step,
        loss=mean,
        error=found.std(0, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.full_like(mean, np.nan),
        pieces=len(found),
        in_context=interp.in_context_score(found),
    )
