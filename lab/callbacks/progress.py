"""The progress bar of a fit: step, loss, tokens/s and the time that is left."""

from __future__ import annotations

import sys
import time

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from lab.training.module import PretrainingModule

REFRESH_SECONDS = 0.25
"""A redraw costs about 1 ms; four a second are 0.4 % of one core at worst, and no eye asks for more."""
PLAIN_SECONDS = 15.0
"""Without a terminal (a log file, CI) a line every so often replaces the bar."""


class FieldColumn(ProgressColumn):
    """One number of the task's fields, in a tabular width so that the bar does not jitter."""

    def __init__(self, key: str, template: str, style: str) -> None:
        super().__init__()
        self.key, self.template, self.style = key, template, style

    def render(self, task: Task) -> Text:
        """The formatted value, or blanks of about its width before the first one is known."""
        value = task.fields.get(self.key)
        return Text(self.template.format(value) if value is not None else "", style=self.style)


class LabProgressBar(ProgressBar):
    """A rich bar on a terminal, a plain line now and then elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.console = Console(stderr=True)
        self._progress: Progress | None = None
        self._enabled = True
        self._drawn = 0.0
        self._mark: tuple[float, int] | None = None
        self._rate: float | None = None
        self._val_loss: float | None = None

    def disable(self) -> None:
        """Called by Lightning on processes that are not the first one."""
        self._enabled = False

    def enable(self) -> None:
        """The opposite of `disable`."""
        self._enabled = True

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar at the step the run starts from (not 0 on a resumed run)."""
        if self._enabled and self.console.is_terminal:
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
                "fit", total=trainer.max_steps, completed=trainer.global_step, loss=None, val=None, rate=None
            )
            self._progress.start()
        self._mark = None
        self._drawn = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        """Redraw when the last drawing is old enough; a step that is not drawn costs one clock reading."""
        now = time.monotonic()
        period = REFRESH_SECONDS if self._progress else PLAIN_SECONDS
        if not self._enabled or (now - self._drawn < period and trainer.global_step < trainer.max_steps):
            return
        assert isinstance(pl_module, PretrainingModule)
        self._measure_rate(now, trainer)
        self._drawn = now
        loss = pl_module.measured.get("train/loss")
        if self._progress:
            self._progress.update(
                self._task, completed=trainer.global_step, loss=loss, val=self._val_loss, rate=self._rate
            )
        else:
            self._plain_line(trainer, loss)

    def _measure_rate(self, now: float, trainer: L.Trainer) -> None:
        """Tokens/s, smoothed over a few seconds."""
        step = trainer.global_step
        if self._mark is not None and step > self._mark[1]:
            tokens = (step - self._mark[1]) * getattr(trainer.datamodule, "tokens_per_step", 0)
            rate = tokens / max(1e-9, now - self._mark[0])
            self._rate = rate if self._rate is None else 0.8 * self._rate + 0.2 * rate
        self._mark = (now, step)

    def _plain_line(self, trainer: L.Trainer, loss: float | None) -> None:
        rate = f", {self._rate:,.0f} tokens/s" if self._rate else ""
        val = f", val loss {self._val_loss:.3f}" if self._val_loss is not None else ""
        shown = f"{loss:.3f}" if loss is not None else "n/a"
        print(f"step {trainer.global_step:,}/{trainer.max_steps:,}: loss {shown}{val}{rate}", file=sys.stderr)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the newest validation loss, and don't count the validation's seconds as training speed."""
        assert isinstance(pl_module, PretrainingModule)
        self._val_loss = pl_module.validated.get("val/loss")
        self._mark = None

    def print(self, *words: object, **_: object) -> None:
        """A line of somebody else's, above the bar."""
        self.console.print(Text(" ".join(map(str, words))), soft_wrap=True)

    def forget_pace(self) -> None:
        """After a pause: the seconds that stood still are no training speed."""
        self._mark = None

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the finished bar on the screen."""
        self._close(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Give the terminal back before anything is printed about the failure."""
        self._close(trainer)

    def _close(self, trainer: L.Trainer) -> None:
        if self._progress:
            self._progress.update(self._task, completed=trainer.global_step)
            self._progress.stop()
            self._progress = None
