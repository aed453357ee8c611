"""The loss by position: how much each further token of context helps, over the validation text."""

from __future__ import annotations

import numpy as np

from analysis_app.analyses.declaration import Answer, analysis
from analysis_app.analyses.text import validation_pieces
from analysis_app.library import Opened, no_progress
from lab import interp
from lab.interp.ablation import Progress

BYTES_AT_ONCE = 2**26  # of logits
TOKENS_AT_ONCE = 2048  # a fraction of a second, after which other threads get the model


@analysis("position_loss")
def position_loss(opened: Opened, progress: Progress = no_progress) -> Answer:
    """The mean loss at each position of the context, over the validation text."""
    return opened.cached("position_loss", lambda: _position_loss(opened, progress))


def _position_loss(opened: Opened, progress: Progress) -> Answer:
    pieces = validation_pieces(opened)
    if pieces.shape[1] < 2:
        raise ValueError("the validation text has one token: there is none to predict")
    size = interp.estimate_bytes(opened.model, 1, pieces.shape[1], interp.PREDICTION_SITES)
    batches = pieces.split(max(1, min(BYTES_AT_ONCE // size, TOKENS_AT_ONCE // pieces.shape[1])))
    losses = []
    with opened.lock:
        report = opened.taking_turns(progress)
        for i, batch in enumerate(batches):
            cache = interp.run_with_cache(opened.model, batch, interp.PREDICTION_SITES)
            losses.append(interp.token_losses(cache))
            report(i + 1, len(batches))
    found = np.concatenate(losses)
    mean = found.mean(0)
    return {
        "run": opened.loaded.name,
        "step": opened.loaded.step,
        "loss": mean,  # [pos-1] nats per token, the mean over the pieces; entry t is for the token after t+1 tokens
        # [pos-1] standard error of that mean
        "error": found.std(0, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.full_like(mean, np.nan),
        "pieces": len(found),  # of validation text, each read from its start
        "in_context": interp.in_context_score(found),  # late quarter less early quarter: below 0 where context helps
    }
