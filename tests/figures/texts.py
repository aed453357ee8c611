"""What is written in a figure."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.text import Text


def words(figure: Figure) -> list[str]:
    """All its texts."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]
