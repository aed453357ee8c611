"""Arrays to matplotlib figures: one function draws for run directory, dashboards, report and page alike.

Every `draw_…` function takes plain arrays, no model, run or tokenizer, and returns a `matplotlib.figure.Figure`. It is
made without pyplot, so no global state keeps it in memory: save it (`figure.savefig(path)`) or give it to a logger.
`style` (colours, axes) ← `schedule`, `loss`, `curves`, `scaling`; `style`, `tokens`, `canvas` (pixels, text) ←
`attention`, `histograms`, `residual`, `predictions`.
"""

from lab.figures.attention import draw_attention, draw_head_grid, draw_head_scores
from lab.figures.curves import Panel, draw_curves
from lab.figures.histograms import draw_histograms
from lab.figures.loss import draw_loss
from lab.figures.predictions import draw_logit_lens, draw_token_loss
from lab.figures.residual import draw_residual_norms
from lab.figures.scaling import draw_scaling
from lab.figures.schedule import draw_schedule
from lab.figures.tokens import show_token

__all__ = [
    "Panel",
    "draw_attention",
    "draw_curves",
    "draw_head_grid",
    "draw_head_scores",
    "draw_histograms",
    "draw_logit_lens",
    "draw_loss",
    "draw_residual_norms",
    "draw_scaling",
    "draw_schedule",
    "draw_token_loss",
    "show_token",
]
