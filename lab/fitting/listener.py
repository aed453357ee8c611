"""What a fit tells while it happens; a terminal prints it, a notebook or a test may leave it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.fitting.lifecycle import Fit


class Listener:
    """Hears of a fit and does nothing; a subclass shows what it wants to show."""

    progress_bar = False
    """Whether a progress bar is drawn while it trains."""

    def ask(self, predict: Any, *, first: bool) -> None:
        """Ask for what `predict` leaves open, in place. Raises `ValueError` where nothing can be asked."""
        raise ValueError("predict.ask: there is no terminal to ask in; give predictions as --predict.final_loss 1.9")

    def begins(self, fit: Fit) -> None:
        """Everything is decided and written; the first step comes next."""

    def note(self, text: str) -> None:
        """Something that does not stop the fit, such as a dashboard that cannot be reached."""

    def ended(self, fit: Fit) -> None:
        """The run has ended: `fit.run.status()` says how."""
