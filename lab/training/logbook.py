"""All that is written about a run while it trains, through one object: status, metrics, events, dashboards.

Callbacks decide *when* something is said, the logbook knows *where*: run.json, metrics.jsonl, events.jsonl, and every
logger (TensorBoard, Weights & Biases), under the same names, with the same steps.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger

from lab.errors import WriteError
from lab.runs import EventWriter, MetricsWriter, Run, RunLock, StatusWriter
from lab.runs.control import ControlChannel
from lab.runs.disk_space import delete_newest_to_look_at, in_room
from lab.runs.events import ENDS, Event, InstrumentFailed, Paused, Rewound, RoomMade, Unpaused
from lab.runs.seams import Seams

SPEED_SECONDS = 10.0  # of steps, that the speed shown is measured over


class Clock:
    """Training seconds since the start, those of earlier processes of the run included, pauses left out."""

    def __init__(self, before: float = 0.0) -> None:
        self._before = before
        self._since: float | None = time.monotonic()

    def seconds(self) -> float:
        """Seconds so far."""
        return self._before + (time.monotonic() - self._since if self._since is not None else 0.0)

    def pause(self) -> None:
        """Stand still until `go`."""
        self._before, self._since = self.seconds(), None

    def go(self) -> None:
        """Run on."""
        if self._since is None:
            self._since = time.monotonic()


class Speed:
    """Tokens a second of the newest steps: those of the last ten seconds, which a person takes for now."""

    def __init__(self) -> None:
        self._steps: deque[tuple[int, float]] = deque()
        self._tokens, self._seconds = 0, 0.0

    def step(self, tokens: int, seconds: float) -> None:
        """A step is done: so many tokens in so many seconds, its wait for the batch included, looks left out."""
        self._steps.append((tokens, seconds))
        self._tokens, self._seconds = self._tokens + tokens, self._seconds + seconds
        while self._seconds - self._steps[0][1] >= SPEED_SECONDS:
            tokens, seconds = self._steps.popleft()
            self._tokens, self._seconds = self._tokens - tokens, self._seconds - seconds

    @property
    def tokens_per_second(self) -> float | None:
        """None before the first step."""
        return self._tokens / max(1e-9, self._seconds) if self._steps else None


class Logbook:
    """The writing side of one run directory, for the process that trains it.

    Opening takes the run's lock (`ValueError` naming the process that holds it) and starts the heartbeat, in state
    `starting`. `begin` opens metrics.jsonl once it is known at which step the training starts.

    Args:
        run: The run directory.
        seams: What holds from which step on: how many steps the whole run has, and how many tokens were seen when.
        status: Further fields of run.json (`parent`, `levers`, `details`).
    """

    def __init__(self, run: Run, seams: Seams, **status: Any) -> None:
        self.run, self.seams, self.total_steps = run, seams, seams.last.total_steps or 0
        self.ends_at: float | None = None
        """Seconds of training after which a run in minutes ends; None: its steps are counted."""
        self.loggers: list[Logger] = []
        self._failed: set[str] = set()
        self.clock, self.speed = Clock(), Speed()
        self.lock = RunLock(run).acquire()
        try:
            self.status = StatusWriter(run, total_steps=self.total_steps, **status)
        except BaseException:
            self.lock.release()
            raise
        self.events = EventWriter(run)
        # From here on commands are this process's; those that wait from before are refused.
        self.commands = ControlChannel(run, self.events)
        self._paused_at = 0.0
        self._metrics: MetricsWriter | None = None
        self._began = (0, 0.0)

    def begin(self, step: int, seconds: float, loggers: Iterable[Logger]) -> None:
        """Training starts (or goes on) at `step`, after `seconds` of training in earlier processes."""
        self.loggers = list(loggers)
        self.clock = Clock(seconds)
        self._began = (step, seconds)
        self._metrics = MetricsWriter(self.run, start_step=step)
        if self._metrics.rewound_from is not None:
            self.event(Rewound(step=step, rewound_from=self._metrics.rewound_from))
        if step:
            self._repeat_validation(step)
        self.status.update(state="running", step=step, tokens=self.seams.tokens_at(step))

    def _repeat_validation(self, step: int) -> None:
        """A resumed TensorBoard forgets everything from `step` on, the validation of the checkpoint too."""
        row = next((row for row in reversed(self.run.metrics().rows) if row["step"] == step), {})
        validation = {name: value for name, value in row.items() if name.startswith("val/") and value is not None}
        if validation:
            self._to_dashboards(validation, step)

    def log(self, step: int, values: Mapping[str, float], *, dashboards: bool = True) -> None:
        """One line of metrics.jsonl; with `dashboards` the same numbers to every logger.

        `step` is the number of optimizer steps done when the values were measured.
        """
        tokens = self.seams.tokens_at(step)
        assert self._metrics is not None, "log() before begin()"
        write, seconds = self._metrics.write, self.clock.seconds()
        in_room(lambda: write(step, tokens, seconds, values), self.make_room)
        if dashboards:
            self._to_dashboards({**{name: float(value) for name, value in values.items()}, "tokens": tokens}, step)

    def _to_dashboards(self, values: Mapping[str, float], step: int) -> None:
        """To every logger; one that fails gets nothing from then on, and the training none of it."""
        for logger in [*self.loggers]:
            try:
                logger.log_metrics(dict(values), step)
            except Exception as error:
                self.loggers.remove(logger)
                self.failure(type(logger).__name__, step, error)

    def event(self, event: Event) -> None:
        """One line of events.jsonl."""
        in_room(lambda: self.events.write(event), self.make_room)

    def failure(self, instrument: str, step: int, error: BaseException) -> None:
        """An event and a line, the first time that something fails which is only to look at."""
        if instrument in self._failed:
            return
        self._failed.add(instrument)
        what = str(error) if isinstance(error, WriteError) else f"{type(error).__name__}: {error}"
        print(f"{instrument} at step {step:,}: {what}; the training goes on", file=sys.stderr)
        with suppress(OSError):  # on a full disk; what must be written (a checkpoint) says so
            self.event(InstrumentFailed(step=step, instrument=instrument, error=what))

    def make_room(self) -> bool:
        """On a full disk: delete the newest file that is only to look at. False where there is none."""
        path = delete_newest_to_look_at(self.run) or self._give_up_tensorboard()
        if path is None:
            return False
        self.event(RoomMade(file=str(path.relative_to(self.run.path))))
        return True

    def _give_up_tensorboard(self) -> Path | None:
        """Its numbers are those of metrics.jsonl; what was deleted, None where it is not written."""
        for logger in self.loggers:
            if isinstance(logger, TensorBoardLogger):
                self.loggers.remove(logger)
                with suppress(Exception):  # what waits to be written has no room either
                    logger.experiment.close()
                shutil.rmtree(self.run.tensorboard_dir, ignore_errors=True)
                return self.run.tensorboard_dir
        return None

    def progress(self, step: int, losses: Mapping[str, float]) -> None:
        """Bring run.json up to date; a thread writes it, so this costs about a microsecond."""
        # By what a step has cost so far with everything around it: validation, instruments, checkpoints.
        done, seconds = step - self._began[0], self.clock.seconds() - self._began[1]
        eta = (self.total_steps - step) * seconds / done if done > 0 else None
        if self.ends_at is not None:
            eta = max(0.0, self.ends_at - self.clock.seconds())
        self.status.update(
            step=step,
            tokens=self.seams.tokens_at(step),
            tokens_per_second=self.speed.tokens_per_second,
            eta_seconds=eta,
            losses=dict(losses),
            details={"training_seconds": round(self.clock.seconds(), 3)},
        )

    def pause(self, step: int) -> None:
        """Training stands still after `step` updates: so does its clock, and with it the time that is left."""
        self.clock.pause()
        self._paused_at = time.monotonic()
        seconds = {"training_seconds": round(self.clock.seconds(), 3)}
        self.status.update(state="paused", step=step, tokens=self.seams.tokens_at(step), details=seconds)
        self.event(Paused(step=step))

    def go_on(self, step: int) -> float:
        """After a pause; returns the seconds that it took."""
        self.clock.go()
        seconds = round(time.monotonic() - self._paused_at, 3)
        self.status.update(state="running")
        self.event(Unpaused(step=step, seconds=seconds))
        return seconds

    def end(self, state: str, step: int, message: str | None = None) -> None:
        """Say how the run ended (`stopped`, `completed`, `failed`) after `step` updates, and give everything back.

        The last line of a complete run has its whole time: with the looks after the last step and the last checkpoint.
        """
        if state == "completed" and self._metrics is not None:
            self.log(step, {}, dashboards=False)
        self.status.update(details={"training_seconds": round(self.clock.seconds(), 3)})
        self.status.update(state=state, step=step, tokens=self.seams.tokens_at(step), message=message, eta_seconds=None)
        self.event(ENDS[state](step=step, message=message or None))
        for command in self.commands.poll(step):
            self.commands.refuse(command, "the run has failed" if state == "failed" else "the run is at its end", step)
        self.close()

    def close(self) -> None:
        """Close all files and release the lock; the state stays as it was said last."""
        if self._metrics is not None:
            self._metrics.close()
        self.commands.close()
        self.events.close()
        self.status.close()
        self.lock.release()
