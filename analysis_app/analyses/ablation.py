"""Ablation: the rise in loss without each head and each MLP."""

from __future__ import annotations

from analysis_app.analyses.declaration import Answer, analysis
from analysis_app.analyses.text import read_text
from analysis_app.library import Opened, no_progress
from lab import interp
from lab.interp.ablation import Progress


@analysis("ablation")
def ablation(opened: Opened, text: str | None = None, progress: Progress = no_progress) -> Answer:
    """The rise in loss without each head and each MLP: 1 + layers · (heads + 1) forward passes."""
    source = read_text(opened, text, at_least=2)

    def ablate() -> interp.Ablation:
        with opened.lock:
            return interp.ablate(opened.model, source.ids, progress=opened.taking_turns(progress))

    found = opened.cached(("ablation", tuple(source.ids)), ablate)
    return {
        "source": source,
        "loss": found.loss,  # nats per token with everything in place
        "heads": found.heads,  # [layer, head] nats per token more where it is replaced by its mean
        "mlps": found.mlps,  # [layer]
    }
