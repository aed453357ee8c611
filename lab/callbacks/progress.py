"""The progress bar of a fit: step, loss, tokens/s of the last seconds and the time that is left."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from lab.runs import metrics
from lab.runs.validation import on_whole_or_subset
from lab.training.callback import FitCallback, FitContext

REFRESH_SECONDS = 0.25  # between two drawings of about 1 ms each: at worst 0.4 % of a core
PLAIN_SECONDS = 15.0  # between two lines where there is no terminal (a log file, CI)


class FieldColumn(ProgressColumn):
    """One number of the task's fields, in a tabular width so that the bar does not jitter."""

    def __init__(self, key: str, template: str, style: str) -> None:
        super().__init__()
        self.key, self.template, self.style = key, template, style

    def render(self, task: Task) -> Text:
        """The formatted value, or blanks of about its width before the first one is known."""
        value = task.fields.get(self.key)
        return Text(self.template.format(value) if value is not None else "", style=self.style)


class LabProgressBar(FitCallback):
    """A rich bar on a terminal, a plain line now and then elsewhere."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self._progress: Progress | None = None
        self._drawn = 0.0
        self._val_loss: float | None = None

    def start(self, fit: FitContext) -> None:
        """Open the bar at the step the run starts from (not 0 on a resumed run)."""
        if fit.is_main_process and self.console.is_terminal:
            self._progress = Progress(
                TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
                BarColumn(bar_width=None),
                FieldColumn("loss", "loss {:.3f}", "bold"),
                FieldColumn("val", "val {:.3f}", "cyan"),
                FieldColumn("rate", "{:,.0f} tok/s", "dim"),
                TimeRemainingColumn(compact=True),
                console=self.console,
                refresh_per_second=1 / REFRESH_SECONDS,
                transient=False,
            )
            self._task = self._progress.add_task(
                "fit", total=fit.total_steps, completed=fit.step, loss=None, val=None, rate=None
            )
            self._progress.start()
        self._drawn = time.monotonic()

    def after_step(self, fit: FitContext) -> None:
        """Redraw when the last drawing is old enough; a step that is not drawn costs one clock reading."""
        now = time.monotonic()
        period = REFRESH_SECONDS if self._progress else PLAIN_SECONDS
        if not fit.is_main_process or (now - self._drawn < period and fit.step < fit.total_steps):
            return
        self._drawn = now
        loss = fit.module.measured.get(metrics.TRAIN_LOSS)
        if self._progress:
            speed, total = fit.logbook.speed.tokens_per_second, fit.total_steps
            self._progress.update(
                self._task, completed=fit.step, total=total, loss=loss, val=self._val_loss, rate=speed
            )
        else:
            self._plain_line(fit, loss)

    def _plain_line(self, fit: FitContext, loss: float | None) -> None:
        speed = fit.logbook.speed.tokens_per_second
        rate = f", {speed:,.0f} tokens/s" if speed else ""
        val = f", val loss {self._val_loss:.3f}" if self._val_loss is not None else ""
        shown = f"{loss:.3f}" if loss is not None else "n/a"
        print(f"step {fit.step:,}/{fit.total_steps:,}: loss {shown}{val}{rate}", file=sys.stderr)

    def validated(self, fit: FitContext) -> None:
        """Show the newest validation loss."""
        self._val_loss = on_whole_or_subset(fit.module.validated)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self.console.print(Text(text), soft_wrap=True)

    def end(self, fit: FitContext) -> None:
        """Leave the finished bar on the screen."""
        self._close(fit)

    def failed(self, fit: FitContext, error: BaseException) -> None:
        """Give the terminal back before anything is printed about the failure."""
        self._close(fit)

    def _close(self, fit: FitContext) -> None:
        if self._progress:
            self._progress.update(self._task, completed=fit.step)
            self._progress.stop()
            self._progress = None
