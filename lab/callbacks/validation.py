"""Validation on a cadence of optimizer steps: before the first update, every n steps, and after the last one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.data.dataset import LabData
from lab.errors import SettingsError
from lab.runs.cadence import Cadence
from lab.runs.events import PutOff
from lab.training.callback import FitContext
from lab.training.deciding import Deciding
from lab.training.looking import VALIDATION_SHARE, BrokenOff, allotted, fits
from lab.units import duration

PER_RUN = 20  # validations of a run where nothing is set: enough points for a curve, few enough to cost little
SUBSET_TOKENS = 1 << 15  # that a look reads: its standard error is some thousandths of the loss (LOG.md)
LEAST_WINDOWS = 32  # the fewest windows from which their spread is known
RARE = 64  # every 64th of 20 is none but the last
FORWARD = 3.0  # how much longer than its forward pass a training step takes: the backward pass costs twice that
SURE_SECONDS = 0.5  # of a first look, after which what is left of it can be told


class Validation(Deciding):
    """Measures the loss on held-out text while training goes on.

    Lightning counts validations in batches of a data loader and has none before the first step; here the loop is called
    when a step asks for it, so step 0 (the untrained model, whose loss should be ln(vocab_size)) and the last step are
    always on the curve.

    While the run trains, a fixed random subset of the validation windows is read (`val/subset_loss`, with its standard
    error), the same in all runs on this text; after the last step also the whole split (`val/loss`). Where `every` is
    unset all of it takes at most 5 % of the run's wall-clock, of a run of a minute or more: every second, fourth, …
    look is left out, by what they take on this machine, as a recorded decision.

    Args:
        every: Optimizer steps between validations, whatever they take; 0 switches validation off; unset: a
            twentieth of the run, or more where that would take more than 5 % of it.
        at_start: Also validate the untrained model, at step 0.
        windows: Windows of a context each that are read while the run trains; 0: the whole split every time;
            unset: as many as make 32 768 tokens, at least 32.
    """

    what = "validation"
    settings = ("validation.", "horizon.")

    def __init__(self, every: int | None = None, at_start: bool = True, windows: int | None = None) -> None:
        super().__init__()
        self.every, self.at_start, self.windows = every, at_start, windows
        problems = self.cadence.problems("validation.every", "for no validation")
        if windows is not None and (windows < 0 or windows == 1):
            problems.append(f"validation.windows is {windows}: give at least 2, or 0 for the whole split every time")
        if problems:
            raise ValueError("\n".join(problems))
        self._nth = 1
        self._newest = -1
        self._trained: Tensor | None = None
        self._batches, self._begun = 0, 0.0
        self._read = (0, 0.0)  # windows and seconds of all passes

    @property
    def cadence(self) -> Cadence:
        """When it validates, step 0 aside."""
        return Cadence(self.every, PER_RUN, at_most=True, early=False)

    def steps_between(self, total_steps: int) -> int:
        """Optimizer steps between two validations, as it is now."""
        return self._nth * self.cadence.steps(total_steps)

    def due(self, step: int, total_steps: int) -> bool:
        """Whether the model that has done `step` updates of `total_steps` is to be validated."""
        return self.cadence.due(step, total_steps, self._nth) and (step > 0 or self.at_start)

    def subset(self, data: LabData) -> np.ndarray | None:
        """The numbers of the windows that are read while the run trains; None: the whole split."""
        if self.windows == 0:
            return None
        wanted = self.windows or max(LEAST_WINDOWS, -(-SUBSET_TOKENS // data.context_length))
        return data.sequences.val_subset(wanted)

    # ---------------------------------------------------------------- when

    def start(self, fit: FitContext) -> None:
        """Step 0; on a resumed run, the validation that the interruption kept from happening; and the first that
        compares, where none measured before does.
        """
        super().start(fit)
        due = self.due(fit.step, fit.total_steps) and self._newest != fit.step
        if due or (not fit.compares and self.every != 0):
            self.look(fit)

    def after_step(self, fit: FitContext) -> None:
        """After the update, when this step is due and the run is not being stopped."""
        super().after_step(fit)
        if not self.due(fit.step, fit.total_steps):
            return
        if not (fit.stopping or fit.interrupted()):
            self.look(fit)
        elif fit.step >= fit.total_steps:  # no resumed run will catch up on it
            self._put_off(
                fit,
                "validation after the last step left out: a signal ended the run;"
                f" python -m lab validate {fit.logbook.run.name} reads the whole split",
            )

    def decide(self, fit: FitContext) -> tuple[int, str] | None:
        """Every how many of the looks is left, at a step where one is due."""
        if self.every is not None or not self.due(fit.step, fit.total_steps):
            return None
        run = self._run_seconds(fit, fit.total_steps - fit.step)
        nth = self._nth
        while nth < RARE and not fits(VALIDATION_SHARE, run, self._spent(fit), self._ahead_seconds(fit, nth, run)):
            nth *= 2
        if nth == self._nth:
            return None
        each = self._seconds_of(self._n_look(fit))
        ahead = self._ahead_seconds(fit, self._nth, run)
        share = VALIDATION_SHARE * (self._spent(fit) + ahead) / allotted(VALIDATION_SHARE, run)
        when = "at the end only" if nth == RARE else f"every {nth * self.cadence.steps(fit.total_steps):,} steps"
        return nth, (
            f"validation {when}: at {duration(each)} each, every {self.steps_between(fit.total_steps):,} steps would"
            f" take {share:.0%} of the run"
        )

    def apply(self, fit: FitContext, value: int) -> None:
        """From now on every `value`-th look."""
        self._nth = value

    def _run_seconds(self, fit: FitContext, steps_left: int) -> float:
        return fit.looks.run_seconds(fit.logbook.clock.seconds(), steps_left)

    def _spent(self, fit: FitContext) -> float:
        return fit.looks.seconds.get(self.what, 0.0)

    def _n_look(self, fit: FitContext) -> int:
        rows = self.subset(fit.data)
        return fit.data.sequences.n_val if rows is None else len(rows)

    def _seconds_of(self, windows: int) -> float:
        """What reading so many windows takes, by what was read so far."""
        read, seconds = self._read
        return windows * seconds / read if read else 0.0

    def _ahead_seconds(self, fit: FitContext, nth: int, run: float) -> float:
        """What validation will take, if from here on every `nth` look happens."""
        n_look, n_whole = self._n_look(fit), fit.data.sequences.n_val
        looks = self.cadence.count(fit.total_steps, fit.step, nth) * self._seconds_of(n_look)
        whole = self._seconds_of(n_whole) if n_look < n_whole else 0.0
        possible = fits(VALIDATION_SHARE, run, self._spent(fit), self._seconds_of(n_look) + whole)
        return looks + (whole if possible else 0.0)  # for one that cannot be nothing is put by

    def end_seconds(self, fit: FitContext) -> float:
        """What it will take after the last step: of the subset and the whole split what the budget has room for."""
        if self.every == 0:
            return 0.0
        n_look, n_whole = self._n_look(fit), fit.data.sequences.n_val
        each, both = self._seconds_of(n_look), self._seconds_of(n_look + (n_whole if n_look < n_whole else 0))
        run, spent = self._run_seconds(fit, fit.total_steps - fit.step), self._spent(fit)
        affords = [seconds for seconds in (both, each) if fits(VALIDATION_SHARE, run, spent, seconds)]
        return both if self.every is not None else next(iter(affords), 0.0)

    # ---------------------------------------------------------------- what

    def look(self, fit: FitContext) -> None:
        """The subset; after the last step also the whole split, where the budget has room for it."""
        rows = self.subset(fit.data)
        last = fit.step >= fit.total_steps
        if last and self.every is None and not self._affords(fit, rows):
            return
        if not self._pass(fit, rows):
            return  # of a run that a signal ends: the resumed one measures it
        self._newest = fit.step
        if last and rows is not None and (self.every is not None or self._affords(fit, None)):
            self._pass(fit, None)

    def measure(self, fit: FitContext, weights: Mapping[str, Tensor]) -> dict[str, float] | None:
        """The whole split's loss of other weights, after the last step; None where the budget has no room for it, or a
        signal has come.
        """
        if self.every is None and not self._affords(fit, None, " for checkpoints/best"):
            return None
        with fit.looks.timed(self.what):
            return fit.loss_of(weights)

    def _affords(self, fit: FitContext, rows: np.ndarray | None, whose: str = "") -> bool:
        """Whether a pass after the last step fits into the budget; an event and a line where it does not."""
        n = fit.data.sequences.n_val if rows is None else len(rows)
        seconds = self._seconds_of(n)
        if fits(VALIDATION_SHARE, self._run_seconds(fit, 0), self._spent(fit), seconds):
            return True
        read = "the whole validation split" if n == fit.data.sequences.n_val else "the subset for validation"
        self._put_off(
            fit, f"{read}{whose} was not read at the end: about {duration(seconds)}, more than validation's"
            f" {VALIDATION_SHARE:.0%} of the run has room for; python -m lab validate {fit.logbook.run.name} reads it"
        )  # fmt: skip
        return False

    def _put_off(self, fit: FitContext, reason: str) -> None:
        if fit.is_main_process:
            fit.logbook.event(PutOff(step=fit.step, look=self.what, reason=reason))
            fit.say(f"step {fit.step:,}: {reason}")

    def _pass(self, fit: FitContext, rows: np.ndarray | None) -> bool:
        """One pass over the windows `rows` of the validation split, or over all; False: broken off, nothing counts."""
        self._trained = _mark(fit)
        self._batches, self._begun = 0, fit.looks.clock()
        planned = fit.data.sequences.n_val if rows is None else len(rows)
        read, whole = planned, True
        try:
            with fit.looks.timed(self.what):
                fit.validate(rows)
        except BrokenOff as why:
            whole = False
            read = min(planned, self._batches * fit.data.batch_size * fit.n_processes)
            self._put_off(fit, f"validation broken off after {read:,} of {planned:,} windows: {why}")
        finally:
            self._trained = None
        self._read = self._read[0] + read, self._read[1] + fit.looks.clock() - self._begun
        return whole

    def before_validation_batch(self, fit: FitContext) -> None:
        """The weights are those that are trained. Raises `SettingsError` where a callback has put others there, and
        `BrokenOff` where a signal has come or the first look shows that it takes too long.
        """
        if self._trained is None:
            return
        if not torch.equal(self._trained, _mark(fit)):
            names = ", ".join(fit.trainer.own_callbacks)
            raise SettingsError(
                f"trainer.callbacks has {names}: at step {fit.step} other weights are validated than those that are"
                " trained, and one step would have two models; leave out what swaps them"
            )
        if fit.n_processes == 1:  # of several, all would have to break off at the same batch
            if fit.interrupted():
                raise BrokenOff("a signal ends the run")
            if fit.step == 0 and self.every is None:
                self._watch_first(fit)
        self._batches += 1

    def _watch_first(self, fit: FitContext) -> None:
        """Raises `BrokenOff` where this look and the one after the last step would take more than the budget.

        No step was done yet: what one takes follows from the validation's speed.
        """
        seconds = fit.looks.clock() - self._begun
        if self._batches < 2 or seconds < SURE_SECONDS:
            return
        per_token = seconds / (self._batches * fit.data.batch_size * fit.data.context_length)
        look = per_token * self._n_look(fit) * fit.data.context_length
        run = FORWARD * per_token * fit.data.tokens_per_step * fit.total_steps
        if not fits(VALIDATION_SHARE, run, 0.0, 2 * look):
            raise BrokenOff(
                f"it would take {duration(look)} of a run of about {duration(run)}; looks at the start and at the end"
                f" are to take {VALIDATION_SHARE:.0%} of it at most"
            )

    def state_dict(self) -> dict[str, Any]:
        """The step of the newest validation, so that a resumed run neither skips nor repeats one; what holds; how long
        windows took.
        """
        return {**super().state_dict(), "newest": self._newest, "read": list(self._read)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take these back from a checkpoint; those of earlier versions have the newest validation's step alone."""
        super().load_state_dict(state_dict)
        self._newest = state_dict["newest"]
        windows, seconds = state_dict.get("read", (0, 0.0))
        self._read = int(windows), float(seconds)


def _mark(fit: FitContext) -> Tensor:
    """Some numbers of every weight, as bits (NaN equals itself so): enough to tell two models of one run apart."""
    some = torch.cat([weight.detach().flatten()[:4].float() for weight in fit.model.parameters()]).cpu()
    return some.view(torch.int32)
