"""Arrays to matplotlib figures: one function draws for run directory, dashboards, report and page alike.

Every `draw_…` function takes plain arrays, no model, run or tokenizer, and returns a `matplotlib.figure.Figure`. It is
made without pyplot, so no global state keeps it in memory: save it (`figure.savefig(path)`) or give it to a logger.
`style` (colours, axes) ← `schedule`, `loss`, `curves`, `scaling`; `style`, `tokens`, `canvas` (pixels, text) ←
`attention`, `histograms`, `residual`, `predictions`.

matplotlib is imported when the first is drawn: `figures.draw_loss(…)` after `from lab import figures`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.figures.attention import draw_attention, draw_head_grid, draw_head_scores
    from lab.figures.canvas import rendered
    from lab.figures.curves import Panel, draw_curves
    from lab.figures.histograms import draw_histograms
    from lab.figures.loss import draw_loss
    from lab.figures.predictions import draw_logit_lens, draw_token_loss
    from lab.figures.residual import draw_residual_norms
    from lab.figures.scaling import draw_scaling
    from lab.figures.schedule import draw_schedule
    from lab.figures.tokens import show_token

_FILES = {
    "Panel": "curves",
    "draw_attention": "attention",
    "draw_curves": "curves",
    "draw_head_grid": "attention",
    "draw_head_scores": "attention",
    "draw_histograms": "histograms",
    "draw_logit_lens": "predictions",
    "draw_loss": "loss",
    "draw_residual_norms": "residual",
    "draw_scaling": "scaling",
    "draw_schedule": "schedule",
    "draw_token_loss": "predictions",
    "rendered": "canvas",
    "show_token": "tokens",
}
__all__ = [*_FILES]


def __getattr__(name: str) -> Any:
    """Import a file of this room when it is first asked for (PEP 562)."""
    if name in _FILES:
        return getattr(import_module(f"lab.figures.{_FILES[name]}"), name)
    raise AttributeError(f"module 'lab.figures' has no attribute {name!r}")
