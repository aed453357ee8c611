"""A rehearsal: a few real steps of the real fit, then deleted. It measures seconds a step and memory.

The trainer is fit's own, with all its instruments at their cadence, in a run directory that is deleted. Each callback
is timed by itself, and what it does at a look is counted as often as it will look.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.memory import is_oom_error

from lab.callbacks.checkpoints import Checkpoints
from lab.callbacks.dashboards import Dashboards
from lab.callbacks.instrument import Instrument
from lab.callbacks.interrupts import Interrupts
from lab.callbacks.loggers import close_loggers, make_loggers
from lab.callbacks.looks import LooksBudget
from lab.callbacks.looks import planned as planned_looks
from lab.callbacks.minutes import Minutes
from lab.callbacks.progress import LabProgressBar
from lab.callbacks.snapshots import Snapshots
from lab.callbacks.validation import Validation
from lab.data.datamodule import LabDataModule
from lab.errors import NonFiniteLoss, SettingsError
from lab.fitting.decisions import Decisions
from lab.fitting.origin import Origin
from lab.fitting.trainer import make_trainer, out_of_memory
from lab.runs import create_run
from lab.settings.parse import Settings
from lab.training.callback import FitCallback, FitContext, LightningAdapter, attach, callbacks_of
from lab.training.levers import Levers
from lab.training.logbook import Logbook
from lab.training.looking import LOOKS_SHARE, VALIDATION_SHARE, allotted, fits
from lab.training.machine import held_memory, recent_peak, restart_peak
from lab.training.module import PretrainingModule
from lab.training.step import StepBatch
from lab.training.validating import window_losses

FEWEST_STEPS, SECONDS = 12, 6.0  # the rehearsal ends once it has done both
MOST_SECONDS = 45.0  # where steps are long, it ends here with fewer
SETTLING = 3  # first steps that are left out: allocator, caches and clock settle in them
VALIDATING_SECONDS = 2.0  # of the validation split, measured before the first step


@dataclass(frozen=True)
class Rehearsal:
    """What was measured.

    `step_seconds` is the median of one step with everything that happens at each; `looks` are seconds by who looks,
    over the whole run; `memory_bytes` the peak of the process (or of the GPU), `memory_before` what it held before.
    """

    step_seconds: float
    steps: int
    looks: dict[str, float] = field(default_factory=dict)
    memory_bytes: int = 0
    memory_before: int = 0
    seconds: float = 0.0

    def run_seconds(self, steps: int) -> float:
        """Seconds of a run of `steps`, with its validations and instruments."""
        return steps * self.step_seconds + sum(self.looks.values())

    def steps_in(self, seconds: float) -> int:
        """Steps of a run of so many seconds, looks included; at least one."""
        return max(1, int((seconds - sum(self.looks.values())) / self.step_seconds))


def rehearse(settings: Settings, decisions: Decisions) -> Rehearsal:
    """Train a few steps. The model of `settings` is used up by it: its weights are no longer fresh."""
    begin = time.perf_counter()
    levers = decisions.levers
    with tempfile.TemporaryDirectory(prefix="lab-rehearsal-") as folder, Interrupts() as interrupts:
        run = create_run(Path(folder), "rehearsal")
        logbook = Logbook(run, decisions.seams)
        loggers, _ = make_loggers(
            run, tensorboard=settings.values.tensorboard, wandb="off", start_step=0, configuration={}
        )
        trainer = make_trainer(settings, decisions, Origin("new"), logbook, loggers, interrupts)
        watch = Stopwatch(levers)
        watch.attach(trainer)
        restart_peak(levers.device)
        before = held_memory(levers.device)
        try:
            trainer.fit(settings.module, datamodule=settings.data)
        except NonFiniteLoss as error:
            raise SettingsError(f"in its first steps already: {error.what} is {error.value}") from None
        except Exception as error:
            if is_oom_error(error):
                raise SettingsError(out_of_memory(settings.data)) from None
            raise
        finally:
            logbook.end("stopped", trainer.global_step)
            close_loggers(loggers)
            logbook.close()
        if interrupts.signal is not None:
            raise SystemExit(128 + interrupts.signal)
    return Rehearsal(
        watch.step_seconds(),
        len(watch.spans),
        watch.looks(decisions.steps),
        recent_peak(levers.device),
        before,
        time.perf_counter() - begin,
    )


class Stopwatch(FitCallback):
    """Times every callback of the lab's at every step, validates a little, and ends the training in time."""

    def __init__(self, levers: Levers) -> None:
        self.levers = levers
        self.watched: list[FitCallback] = []
        self.spans: list[float] = []
        self.times: dict[int, dict[int, float]] = {}
        self.drawn: dict[int, dict[int, float]] = {}
        """Of these seconds, those that went into pictures: the first looks all have some, the later ones few."""
        self.validation, self.window_seconds = Validation(0), 0.0
        self._since: float | None = None
        self._begin = time.perf_counter()

    def attach(self, trainer: L.Trainer) -> None:
        """Put a clock around what each callback does at the start and after each step; act first of all."""
        callbacks = callbacks_of(trainer)
        adapters = [callback for callback in callbacks if isinstance(callback, LightningAdapter)]
        self.fit = adapters[0].fit
        left_out = Checkpoints | LabProgressBar | LooksBudget | Minutes
        self.watched = [callback for callback in self.fit.callbacks if not isinstance(callback, left_out)]
        for callback in self.watched:
            if isinstance(callback, Validation):
                self.validation = Validation(callback.every, callback.at_start, callback.windows)
                callback.every = 0  # a little of it is measured here instead: the whole may take minutes
            for moment in ("start", "after_step"):
                setattr(callback, moment, self._timed(callback, getattr(callback, moment)))
            if isinstance(callback, Instrument):
                vars(callback)["dashboards"] = self._clocked(callback, callback.dashboards)
        self.fit.callbacks = (self, *self.watched)
        callbacks[:] = [callback for callback in callbacks if callback not in adapters]
        attach(self.fit)

    def _timed(self, callback: FitCallback, act: Callable[[FitContext], None]) -> Callable[[FitContext], None]:
        times = self.times.setdefault(id(callback), {})

        def timed(fit: FitContext) -> None:
            begin = time.perf_counter()
            act(fit)
            times[fit.step] = time.perf_counter() - begin

        return timed

    def _clocked(
        self, callback: FitCallback, dashboards_of: Callable[[FitContext], Dashboards]
    ) -> Callable[[FitContext], Dashboards]:
        drawn = self.drawn.setdefault(id(callback), {})

        def clocked(fit: FitContext) -> Dashboards:
            dashboards = dashboards_of(fit)
            act = dashboards.picture

            def picture(name: str, draw: Callable[[], Any], step: int) -> None:
                begin = time.perf_counter()
                act(name, draw, step)
                drawn[step] = drawn.get(step, 0.0) + time.perf_counter() - begin

            vars(dashboards)["picture"] = picture
            return dashboards

        return clocked

    def start(self, fit: FitContext) -> None:
        """Validate for a moment, before the first step."""
        self.window_seconds = window_seconds(fit.module, fit.data, self.levers)
        self._begin = time.perf_counter()

    def before_step(self, fit: FitContext, batch: StepBatch) -> None:
        """From here to the same moment of the next step is a step."""
        now = time.perf_counter()
        if self._since is not None:
            self.spans.append(now - self._since)
        self._since = now
        passed = now - self._begin
        enough = len(self.spans) >= FEWEST_STEPS and passed > SECONDS
        if enough or (passed > MOST_SECONDS and len(self.spans) > 1):
            fit.stop("by the rehearsal")

    def plain(self) -> list[float]:
        """Seconds of each step, less what callbacks did at a look of theirs."""
        return [
            span - sum(max(0.0, times.get(n + 1, 0.0) - usual(times)) for times in self.times.values())
            for n, span in enumerate(self.spans)
        ]

    def step_seconds(self) -> float:
        """The median step."""
        plain = self.plain()
        return statistics.median(plain[min(SETTLING, len(plain) - 1) :])

    def looks(self, steps: int) -> dict[str, float]:
        """Seconds of a run of `steps` beside them: of all looks by callback, what each takes and the pictures of some;
        and by how much the first steps take longer, which load, allocate and compile."""
        found = {"first steps": sum(max(0.0, span - self.step_seconds()) for span in self.plain()[:SETTLING])}
        for callback in self.watched:
            times, due = self.times.get(id(callback)), schedule_of(callback, self.fit)
            if times is None or due is None:
                continue
            planned, drawn = [n for n in range(steps + 1) if due(n)], self.drawn.get(id(callback), {})
            seen = [seconds - drawn.get(n, 0.0) for n, seconds in sorted(times.items()) if due(n)]
            if seen and planned:
                seconds = over_a_run(seen, len(planned))
                if isinstance(callback, Instrument):
                    pictured = sum(callback.draws(self.fit, n) for n in planned)
                    seconds += over_a_run([drawn[n] for n in sorted(drawn)], pictured)
                found[getattr(callback, "group", "snapshots")] = seconds
        budgeted, run = planned_looks(self.fit), steps * self.step_seconds() if self.spans else 0.0
        found |= within(LOOKS_SHARE, run, {name: found[name] for name in found if name in budgeted})
        validation = {"validation": self.validation_windows(steps) * self.window_seconds}
        return found | (within(VALIDATION_SHARE, run, validation) if self.validation.every is None else validation)

    def validation_windows(self, steps: int) -> int:
        """Windows that all validations of a run of `steps` read, where the budget leaves none out."""
        validation = self.validation
        count = validation.cadence.count(steps) - (not validation.at_start)
        if count <= 0:
            return 0
        rows, n_whole = validation.subset(self.fit.data), self.fit.data.sequences.n_val
        return count * n_whole if rows is None else count * len(rows) + n_whole


def within(share: float, run: float, found: dict[str, float]) -> dict[str, float]:
    """Seconds of looks as the budget lets them be: `share` of a run of `run` seconds at most."""
    total = sum(found.values())
    part = 1.0 if fits(share, run, 0.0, total) else allotted(share, run) / total
    return {name: part * seconds for name, seconds in found.items()}


def over_a_run(seen: list[float], count: int) -> float:
    """Seconds of `count` times of what took as long as `seen`; the first pays for what is loaded then."""
    if not seen or not count:
        return 0.0
    return seen[0] + (count - 1) * statistics.median(seen[1:] or seen)


def usual(times: dict[int, float]) -> float:
    """What a callback does at a step that is nothing special."""
    return statistics.median(times.values()) if times else 0.0


def schedule_of(callback: FitCallback, fit: FitContext) -> Callable[[int], bool] | None:
    """When a callback looks; None for one that does the same at every step."""
    if isinstance(callback, Instrument):
        return lambda n: callback.due(fit, n)
    if isinstance(callback, Snapshots):
        return lambda n: callback.cadence.due(n, fit.total_steps)
    return None


@torch.no_grad()
def window_seconds(module: PretrainingModule, data: LabDataModule, levers: Levers) -> float:
    """Seconds that validation takes for a window, from the first batches of the validation split."""
    times: list[float] = []
    loader = data.val_dataloader()
    module.eval()
    begin = time.perf_counter()
    for tokens, targets in loader:
        start = time.perf_counter()
        with levers.autocast():
            float(window_losses(module.model, tokens.to(module.device), targets.to(module.device))[0].sum())
        times.append(time.perf_counter() - start)
        if time.perf_counter() - begin > VALIDATING_SECONDS:
            break
    module.train()
    return statistics.median(times[1:] or times) * len(loader) / data.sequences.n_val
