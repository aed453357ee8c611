"""Pictures, histograms and texts for every dashboard of a run, under the same names and steps.

Numbers go through the logbook. TensorBoard has the step as its axis, Weights & Biases step and tokens; a
picture carries both in its remark.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from numpy.typing import NDArray

from lab import figures
from lab.units import short

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from tensorboard.compat.proto.summary_pb2 import Summary

MOST_WANDB_BINS = 512  # of a histogram; Weights & Biases refuses more


class Dashboards:
    """Every dashboard at once. A logger of another kind (a `trainer.logger` of the user's) gets none of these.

    Args:
        loggers: Those of the run.
        tokens_at: Makes tokens out of steps.
    """

    def __init__(self, loggers: Iterable[Logger], tokens_at: Callable[[int], int]) -> None:
        self.loggers = list(loggers)
        self.tokens_at = tokens_at

    def __bool__(self) -> bool:
        """Whether there is a dashboard that shows pictures."""
        return any(isinstance(logger, TensorBoardLogger) or is_wandb(logger) for logger in self.loggers)

    def when(self, step: int) -> str:
        """`step 1,200 · 922k tokens`, for the remark of a picture."""
        return f"step {step:,} · {short(self.tokens_at(step))} tokens"

    def picture(self, name: str, draw: Callable[[], Figure], step: int) -> None:
        """An image; it is not even drawn where there is no dashboard."""
        if not self:
            return
        pixels = figures.rendered(draw())
        for logger in self.loggers:
            if isinstance(logger, TensorBoardLogger):
                # `add_image` would convert it to floats and back and compress harder: twice the time.
                logger.experiment._get_file_writer().add_summary(as_summary(name, pixels), step)
            elif is_wandb(logger):
                import wandb

                self._to_wandb(logger, {name: wandb.Image(pixels)}, step)

    def histogram(self, name: str, counts: NDArray[Any], edges: NDArray[Any], step: int) -> None:
        """Counts `[len(edges)+1]`: below the edges, in each bin, above, as `lab.interp.histogram` makes them.

        The two outer ones are drawn as bins of the width of their neighbours.
        """
        limits = np.concatenate([[2 * edges[0] - edges[1]], edges.astype(float), [2 * edges[-1] - edges[-2]]])
        counts = counts.astype(float)
        for logger in self.loggers:
            if isinstance(logger, TensorBoardLogger):
                self._to_tensorboard(logger, name, counts, limits, step)
            elif is_wandb(logger):
                import wandb

                if len(counts) > MOST_WANDB_BINS:
                    raise ValueError(f"{name} has {len(counts)} bins, Weights & Biases takes {MOST_WANDB_BINS}")
                self._to_wandb(logger, {name: wandb.Histogram(np_histogram=(counts, limits))}, step)

    def text(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]], step: int) -> None:
        """A table of words: Markdown in TensorBoard's text tab, a table in Weights & Biases."""
        for logger in self.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text(name, markdown_table(columns, rows), step)
            elif is_wandb(logger):
                import wandb

                table = wandb.Table(columns=["step", *columns], data=[[step, *row] for row in rows])
                self._to_wandb(logger, {name: table}, step)

    def _to_tensorboard(
        self, logger: TensorBoardLogger, name: str, counts: NDArray[Any], limits: NDArray[Any], step: int
    ) -> None:
        # The numbers themselves never left the device: their sums are those of the bins' centres.
        centres = (limits[1:] + limits[:-1]) / 2
        logger.experiment.add_histogram_raw(
            name,
            min=float(limits[0]),
            max=float(limits[-1]),
            num=int(counts.sum()),
            sum=float((counts * centres).sum()),
            sum_squares=float((counts * centres**2).sum()),
            bucket_limits=limits[1:].tolist(),
            bucket_counts=counts.tolist(),
            global_step=step,
        )

    def _to_wandb(self, logger: Logger, values: dict[str, Any], step: int) -> None:
        logger.log_metrics({**values, "tokens": self.tokens_at(step)}, step)


def as_summary(name: str, pixels: NDArray[np.uint8]) -> Summary:
    """An image `[height, width, 3]` as TensorBoard stores it."""
    from PIL import Image
    from tensorboard.compat.proto.summary_pb2 import Summary

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    height, width = pixels.shape[:2]
    png = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=buffer.getvalue())
    return Summary(value=[Summary.Value(tag=name, image=png)])


def is_wandb(logger: Logger) -> bool:
    """Whether it is Weights & Biases'."""
    return isinstance(logger, WandbLogger)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; whatever a model wrote, it stays in its cell and is shown as it is."""
    lines = [columns, ["---"] * len(columns), *([as_cell(word) for word in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def as_cell(text: str) -> str:
    """Text whose Markdown and HTML are only characters, its line ends kept."""
    escaped = "".join(f"&#{ord(c)};" if c in "\\`*_{}[]()<>#+-.!|~&$:\"'" else c for c in text)
    return escaped.replace("\r", "").replace("\t", "&emsp;").replace("  ", "&nbsp; ").replace("\n", "<br>")
