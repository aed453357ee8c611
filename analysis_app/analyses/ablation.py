"""Ablation: the rise in loss without each head and each MLP."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from analysis_app.analyses.declaration import Answer, analysis
from analysis_app.analyses.text import read_text, validation_pieces
from analysis_app.library import Opened, no_progress
from lab import interp
from lab.interp.ablation import Progress
from lab.interp.arrays import Array
from lab.interp.forward import Tokens

MOST_PIECES = 16  # of validation text that are scored: some seconds at the size of the quickstart


@dataclass(frozen=True)
class OverValidation:
    """The rise over validation text: a mean over pieces with its standard error."""

    pieces: int
    loss: float  # nats per token with everything in place
    heads: Array  # [layer, head] nats per token more where it is replaced by its mean
    mlps: Array  # [layer]
    head_errors: Array  # [layer, head] standard error over the pieces
    mlp_errors: Array  # [layer]


@analysis("ablation")
def ablation(opened: Opened, text: str | None = None, progress: Progress = no_progress) -> Answer:
    """The rise in loss without each head and each MLP: on the text by means and by zeros, and over validation text.

    The means are those of the first half of the validation text beside the weights; the rise over validation text is
    that of the second half, at most 16 pieces. Without such text zeros alone take a part's place. Costs three times
    1 + layers · (heads + 1) forward passes; the last third once for all texts.
    """
    source = read_text(opened, text, at_least=2)
    pieces = _pieces(opened)
    half = 0 if pieces is None else len(pieces) // 2
    passes = 1 + opened.model.config.n_layers * (opened.model.config.n_heads + 1)
    parts = 1 if half == 0 else 3

    def rise(part: int, tokens: Tokens, means: interp.PartMeans | None) -> interp.Ablation:
        def report(done: int, of: int) -> None:
            progress(part * passes + done, parts * passes)

        with opened.lock:
            return interp.ablate(opened.model, tokens, means, opened.taking_turns(report))

    def means_of_half() -> interp.PartMeans:
        assert pieces is not None
        with opened.lock:
            return interp.part_means(opened.model, pieces[:half])

    ids = tuple(source.ids)
    by_zero = opened.cached(("ablation by zero", ids), lambda: rise(0, source.ids, None))
    found, over = by_zero, None
    if pieces is not None and half:
        means = opened.cached("means of heads and MLPs", means_of_half)
        found = opened.cached(("ablation", ids), lambda: rise(1, source.ids, means))
        scored = pieces[half : half + MOST_PIECES]
        rest = opened.cached("ablation over validation", lambda: rise(2, scored, means))
        over = OverValidation(len(scored), rest.loss, rest.heads, rest.mlps, rest.head_errors, rest.mlp_errors)
    return {
        "source": source,
        "loss": found.loss,  # nats per token with everything in place
        "mean_over": found.mean_over,  # validation tokens whose mean takes a part's place; 0: a zero takes it
        "heads": found.heads,  # [layer, head] nats per token more without it
        "mlps": found.mlps,  # [layer]
        "zero_heads": by_zero.heads,  # [layer, head] the same where zeros take its place
        "zero_mlps": by_zero.mlps,  # [layer]
        "validation": over,
    }


def _pieces(opened: Opened) -> torch.Tensor | None:
    """The validation text beside the weights, `[piece, pos]`; None where there are not two pieces of two tokens."""
    try:
        pieces = validation_pieces(opened)
    except ValueError:
        return None
    return pieces if pieces.shape[0] >= 2 and pieces.shape[1] >= 2 else None
