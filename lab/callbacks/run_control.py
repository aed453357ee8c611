"""Steering a run while it trains: pause, resume, stop, checkpoint, sample and learning rate, as asked from outside.

Commands lie as small files in the run's `control/` folder (`lab.runs.control`), put there by `python -m lab control` or
by the page. They are looked for when a step is over, after its validation and its checkpoint: so what they find and
what they do lies between two steps, and a run that is given none computes the same bits as one without this callback.
A look costs some 5 microseconds where the folder is empty.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lab.callbacks.checkpoints import Checkpoints
from lab.callbacks.interrupts import Interrupts
from lab.callbacks.samples import Samples
from lab.errors import Refused, WriteError
from lab.runs.control import Command
from lab.runs.events import LrChanged
from lab.runs.predictions import close
from lab.training.callback import FitCallback, FitContext

LOOK_SECONDS = 0.05  # between two looks while paused: a tenth of what is felt as a delay


class RunControl(FitCallback):
    """Carries out commands between two steps, in the order in which they came, and answers each in events.jsonl.

    The factor on the learning rate goes into checkpoints, so a resumed run goes on as it was steered; a fork begins
    with its own settings and factor 1.

    Args:
        interrupts: Signals, which end a pause too.
        checkpoints: What saves.
        samples: What writes texts.
        keep_rate: Whether the factor is taken from the checkpoint that the run starts from.
    """

    acts_last = True

    def __init__(
        self, interrupts: Interrupts, checkpoints: Checkpoints, samples: Samples, *, keep_rate: bool = True
    ) -> None:
        self._interrupts, self._checkpoints, self._samples = interrupts, checkpoints, samples
        self._keep_rate = keep_rate
        self._rate = 1.0
        self._paused = False
        self._does: dict[str, Callable[[FitContext, dict[str, Any]], dict[str, Any]]] = {
            "pause": self._pause,
            "resume": self._resume,
            "stop": self._stop,
            "checkpoint": self._checkpoint,
            "sample": self._sample,
            "lr": self._lr,
        }

    def start(self, fit: FitContext) -> None:
        """Set the factor, and record it where it is not the one that the run's last process trained with."""
        logbook = fit.logbook
        before = logbook.run.status().details.get("lr_scale", 1.0) if self._keep_rate else 1.0
        fit.module.lr_scale = self._rate
        if before != self._rate:
            self._record_rate(fit, before)
        elif not self._keep_rate:
            logbook.status.update(details={"lr_scale": self._rate})

    def after_step(self, fit: FitContext) -> None:
        """Do what was asked; while paused, wait here for more."""
        commands = fit.logbook.commands
        if commands.waiting():
            self._carry_out(fit, commands.poll(fit.step))
            if self._paused:
                self._wait(fit)

    def _wait(self, fit: FitContext) -> None:
        logbook = fit.logbook
        while self._paused and self._interrupts.signal is None:
            time.sleep(LOOK_SECONDS)
            self._carry_out(fit, logbook.commands.poll(fit.step))
        if self._interrupts.signal is not None:
            self._go(fit)
            self._leave(fit, f"by {signal.Signals(self._interrupts.signal).name}")

    def _carry_out(self, fit: FitContext, commands: list[Command]) -> None:
        logbook, step = fit.logbook, fit.step
        for command in commands:
            try:
                result = self._does[command.name](fit, command.args)
            except Refused as error:
                logbook.commands.refuse(command, str(error), step)
            except WriteError as error:
                logbook.commands.refuse(command, str(error), step)
                raise
            else:
                logbook.commands.answer(command, step, **result)

    # ---------------------------------------------------------------- what can be asked

    def _pause(self, fit: FitContext, args: dict[str, Any]) -> dict[str, Any]:
        logbook, step = fit.logbook, fit.step
        if step >= fit.total_steps or fit.stopping:
            raise Refused("the run is at its end")
        if self._paused:
            raise Refused("it is paused already")
        self._paused = True
        logbook.pause(step)
        print(f"paused at step {step:,} as asked: python -m lab control {logbook.run.name} resume", file=sys.stderr)
        return {}

    def _resume(self, fit: FitContext, args: dict[str, Any]) -> dict[str, Any]:
        if not self._paused:
            raise Refused("it is not paused")
        return {"paused_seconds": self._go(fit)}

    def _stop(self, fit: FitContext, args: dict[str, Any]) -> dict[str, Any]:
        if fit.step >= fit.total_steps or fit.stopping:
            raise Refused("the run is ending already")
        if self._paused:
            self._go(fit)
        self._leave(fit, "as asked")
        return {"saved": True}

    def _checkpoint(self, fit: FitContext, args: dict[str, Any]) -> dict[str, Any]:
        self._checkpoints.finish(fit)  # an earlier write that failed ends the run, as it always does
        try:
            path = self._checkpoints.keep_now(fit)
        except WriteError as error:
            raise Refused(str(error)) from error
        return {"file": path.name}

    def _sample(self, fit: FitContext, args: dict[str, Any]) -> dict[str, Any]:
        prompt = args.get("prompt")
        try:
            prompts = None if prompt is None else [prompt]
            found = self._samples.write(fit, prompts, asked=True)
        except (ValueError, WriteError) as error:
            raise Refused(str(error)) from error
        return {"prompt": found[0].prompt, "text": found[0].text}

    def _lr(self, fit: FitContext, args: dict[str, Any]) -> dict[str, Any]:
        before, self._rate = self._rate, float(args["value"])
        fit.module.lr_scale = self._rate
        self._record_rate(fit, before)
        if self._rate != before:
            with suppress(ValueError):  # damaged
                close(
                    fit.logbook.run, fit.step, f"the learning rate was changed by hand, × {before:g} → {self._rate:g}"
                )
        return {"lr_scale": self._rate, "before": before}

    # ---------------------------------------------------------------- what they share

    def _go(self, fit: FitContext) -> float:
        self._paused = False
        return fit.logbook.go_on(fit.step)

    def _leave(self, fit: FitContext, why: str) -> None:
        """End the training here, saved; for a signal that came in a pause too."""
        fit.stop(why)
        self._checkpoints.save_if_new(fit, "interrupted")

    def _record_rate(self, fit: FitContext, before: float) -> None:
        logbook = fit.logbook
        logbook.status.update(details={"lr_scale": self._rate})
        logbook.event(LrChanged(step=fit.step, before=before, to=self._rate))

    def state_dict(self) -> dict[str, float]:
        """The factor on the learning rate."""
        return {"lr_scale": self._rate}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Take the factor back from a checkpoint, unless it is the start of another run."""
        if self._keep_rate:
            self._rate = state_dict["lr_scale"]
