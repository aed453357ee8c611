"""The sizes of a model, and the text that the page shows with it first."""

from __future__ import annotations

from dataclasses import dataclass

from analysis_app.analyses.text import default_text
from analysis_app.library import Opened


@dataclass(frozen=True)
class Shape:
    """A model's sizes, and its default text."""

    n_layers: int
    n_heads: int
    d_model: int
    d_mlp: int
    context_length: int
    vocab_size: int
    n_parameters: int
    tokenizer: str
    default_text: str


def model_shape(opened: Opened) -> Shape:
    """The shape of an opened model."""
    config = opened.model.config
    return Shape(
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        d_model=config.d_model,
        d_mlp=config.mlp_width,
        context_length=config.context_length,
        vocab_size=config.vocab_size,
        n_parameters=sum(p.numel() for p in opened.model.parameters()),
        tokenizer=opened.tokenizer.name,
        default_text=default_text(opened),
    )
