"""The dashboards of a run: TensorBoard in the run directory, Weights & Biases when asked for."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import urlparse

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment

from lab.runs import Run

FLUSH_SECONDS = 5  # what a kill -9 loses at most; TensorBoard's default is 120
CONNECT_SECONDS = 1.5  # for an answer of the server before logging goes offline; W&B waits a minute, then ends the run
PROJECT = "pretraining-lab"


def make_loggers(
    run: Run,
    *,
    tensorboard: bool,
    wandb: Literal["off", "offline", "online"],
    start_step: int,
    configuration: dict[str, Any],
) -> tuple[list[Logger], list[str]]:
    """The loggers of a run, with its configuration logged, and notes for the user.

    A resumed run goes on in the same dashboards: TensorBoard drops what an interrupted process wrote beyond
    `start_step`; Weights & Biases gets the same run id and drops nothing, so that there such steps come twice.
    """
    loggers: list[Logger] = []
    notes: list[str] = []
    if tensorboard:
        loggers.append(_tensorboard(run, start_step))
    if wandb != "off":
        reason = why_offline() if wandb == "online" else None
        if reason:
            notes.append(
                f"Weights & Biases: {reason}; logging offline. Later: wandb sync {run.path / 'wandb'}/offline-run-*"
            )
        loggers.append(_weights_and_biases(run, offline=wandb == "offline" or reason is not None))
    for logger in [*loggers]:
        try:
            logger.log_hyperparams(configuration)
        except OSError as error:
            loggers.remove(logger)
            notes.append(f"{type(logger).__name__}: {error}; the run goes on without it")
    return loggers, notes


def close_loggers(loggers: list[Logger]) -> None:
    """Flush and end every dashboard's run, so that the next run of this process begins its own."""
    for logger in loggers:
        with suppress(OSError):
            logger.finalize("success")
            finish = getattr(getattr(logger, "experiment", None), "finish", None)  # Lightning leaves W&B's run open
            if finish is not None:
                finish()


class TensorBoard(TensorBoardLogger):
    """TensorBoard's logger, whose end and whose settings a full disk does not turn into an error of the training."""

    def save(self) -> None:
        """Its settings and what waits to be written."""
        with suppress(OSError):
            super().save()

    def finalize(self, status: str) -> None:
        """Its last words."""
        with suppress(OSError):
            super().finalize(status)


def _tensorboard(run: Run, start_step: int) -> TensorBoardLogger:
    return TensorBoard(
        run.path,
        name=run.tensorboard_dir.name,
        version="",
        default_hp_metric=False,
        flush_secs=FLUSH_SECONDS,
        purge_step=start_step,  # 0 too: with --load_fast=false the first writer that gives one drops nothing
    )


class WeightsAndBiases(WandbLogger):
    """Weights & Biases' logger, which uses no other names of `wandb` than its documentation has: Lightning imports
    `wandb.sdk.lib.RunDisabled`, which W&B has announced to remove."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """W&B's run, begun when it is first needed."""
        if self._experiment is None:
            import wandb

            self._experiment = wandb.init(**self._wandb_init)
            self._experiment.define_metric("trainer/global_step")
            self._experiment.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        return self._experiment


def _weights_and_biases(run: Run, *, offline: bool) -> Logger:
    os.environ.setdefault("WANDB_SILENT", "true")
    run.wandb_dir.mkdir(exist_ok=True)
    logger = WeightsAndBiases(
        save_dir=run.path,
        project=PROJECT,
        name=run.name,
        id=f"{run.name}-{int(run.status().created or 0):x}",  # two runs of one name, on two machines, are two runs
        resume="allow",
        offline=offline,
        mode="offline" if offline else "online",  # `offline` alone is not seen once W&B has read its settings
        log_model=False,
    )
    # Lightning passes it on without being asked, and W&B warns of it whenever it is given.
    logger._wandb_init.pop("anonymous", None)
    return logger


def why_offline() -> str | None:
    """Why Weights & Biases cannot be reached, in a few words, or None. Takes at most `CONNECT_SECONDS`."""
    import wandb

    settings = wandb.setup().settings
    if not (os.environ.get("WANDB_API_KEY") or wandb.api.api_key):
        return "no API key (run `wandb login` once)"
    url = urlparse(settings.base_url)
    try:
        # The look-up of the name has no time-out of its own, so it happens in a thread that may be left behind.
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(1)
        port = url.port or (443 if url.scheme == "https" else 80)
        pool.submit(lambda: socket.create_connection((url.hostname, port), CONNECT_SECONDS).close()).result(
            CONNECT_SECONDS
        )
        pool.shutdown(wait=False)
    except (OSError, TimeoutError) as error:
        return f"no connection to {url.hostname} ({type(error).__name__})"
    return None
