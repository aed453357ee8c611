"""The exceptions of the lab's own. What else a user can do wrong is a plain `ValueError`.

ValueError
    SettingsError    problems of the settings, one line each
    NotEnough        too little is known for a forecast
OSError
    WriteError       a file could not be written
RuntimeError
    NonFiniteLoss    the training ends before an update that would ruin the weights
Exception
    Refused          a command is not carried out
"""

from __future__ import annotations


class SettingsError(ValueError):
    """What is wrong with the settings, one line a problem; on the command line exit code 2."""


class NotEnough(ValueError):
    """There is too little to say anything; the message tells what is missing."""


class WriteError(OSError):
    """A file could not be written; `str()` is one line naming the file, the cause and the remedy."""

    def __str__(self) -> str:
        return str(self.strerror)


class NonFiniteLoss(RuntimeError):
    """Raised before the update that a NaN or infinite loss or gradient would have ruined: the weights are still those
    of `step`. `kept` says what a run has to go on from.
    """

    def __init__(self, what: str, value: float, step: int) -> None:
        super().__init__(what, value, step)
        self.what, self.value, self.step = what, value, step
        self.kept = ""

    def __str__(self) -> str:
        return (
            f"{self.what} is {self.value} at step {self.step} (batch {self.step}): stopped before the update{self.kept}"
            f". Look at the text with `python -m lab batch RUN {self.step}`; a lower learning rate, a longer warm-up,"
            " gradient clipping or fp32 precision are the usual cures."
        )


class Refused(Exception):
    """Why a command is not carried out; its sender reads this."""
