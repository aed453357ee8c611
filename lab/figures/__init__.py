"""Arrays to matplotlib figures: one function draws for run directory, dashboards, report and page alike.

The room knows nobody: no model, no run, no tokenizer. Every `draw_…` function takes plain arrays and returns
a `matplotlib.figure.Figure`, made without pyplot, so that nothing global is kept and nothing leaks: save it
(`figure.savefig(path)`) or hand it to a logger, and let it go. `style` (colours, axes) ← `schedule`, `loss`.
"""

from lab.figures.loss import draw_loss
from lab.figures.schedule import draw_schedule

__all__ = ["draw_loss", "draw_schedule"]
