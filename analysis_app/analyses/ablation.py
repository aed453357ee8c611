"""Ablation: the rise in loss without each head and each MLP."""

from __future__ import annotations

from dataclasses import dataclass

from analysis_app.analyses.declaration import Array, analysis
from analysis_app.analyses.text import Source, read_text
from analysis_app.library import Opened, no_progress
from lab import interp
from lab.interp.ablation import Progress


@dataclass(frozen=True)
class AblationView:
    """How much the loss on this text rises without each part (replaced by its mean), in nats per token."""

    source: Source
    loss: float
    heads: Array  # [layer, head]
    mlps: Array  # [layer]


@analysis("ablation")
def ablation(opened: Opened, text: str | None = None, progress: Progress = no_progress) -> AblationView:
    """The rise in loss without each head and each MLP: 1 + layers · (heads + 1) forward passes."""
    source = read_text(opened, text, at_least=2)

    def ablate() -> interp.Ablation:
        with opened.lock:
            return interp.ablate(opened.model, source.ids, progress=opened.taking_turns(progress))

    found: interp.Ablation = opened.cached(("ablation", tuple(source.ids)), ablate)
    return AblationView(source, found.loss, found.heads, found.mlps)
