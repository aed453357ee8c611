"""Who ended a training before its last step: Lightning's trainer, which notes that."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import EarlyStopping, Timer


class StoppableTrainer(L.Trainer):
    """Lightning's trainer; whoever sets its `should_stop` (a time limit, early stopping, a user's callback) is named.

    Lightning keeps a yes or no. Which callback it came from tells only the call itself, so the setter looks at its
    caller.
    """

    def __init__(self, **settings: Any) -> None:
        self._stopper: object = None
        super().__init__(**settings)
        given = settings.get("callbacks")
        self._own = [given] if isinstance(given, L.Callback) else list(given or ())

    @property
    def own_callbacks(self) -> list[str]:
        """The names of the user's callbacks."""
        return [type(callback).__name__ for callback in self._own]

    @property
    def should_stop(self) -> bool:
        """Whether the loop is left once the present step is done."""
        return self._stopper is not None

    @should_stop.setter
    def should_stop(self, value: bool) -> None:
        if not value:
            self._stopper = None
        elif self._stopper is None:
            self._stopper = _who(sys._getframe(1))

    def stop(self, why: str) -> None:
        """End the training with the step that was just done, with words that complete "stopped at step 7 …"."""
        self._stopper = why

    def why_stopped(self) -> str:
        """By whom: `by trainer.max_time`, `as asked`; early stopping says what it saw."""
        who = self._stopper
        if isinstance(who, str):
            return who
        if isinstance(who, Timer):
            return "by Timer" if who in self._own else "by trainer.max_time"
        name = type(who).__name__
        if isinstance(who, EarlyStopping) and who.stopping_reason_message:
            seen = who.stopping_reason_message.partition(" Signaling Trainer")[0].rstrip(".")
            return f"by {name} ({seen[:1].lower()}{seen[1:]})"
        return f"by {name}"


def _who(caller: FrameType) -> object:
    """The object whose method is running; of a plain function its name."""
    name = caller.f_code.co_name
    return caller.f_locals.get("self") or f"by {name if name.isidentifier() else 'a callback'}"
