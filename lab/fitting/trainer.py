"""The trainer of a run: Lightning's, with the lab's callbacks in the order in which they act on a step."""

from __future__ import annotations

import os
from typing import Any

from lightning.pytorch.loggers import Logger

from lab.callbacks.compiling import CompileBeside
from lab.callbacks.forecast import Reforecast
from lab.callbacks.instruments import INSTRUMENTS
from lab.callbacks.interrupts import Interrupts
from lab.callbacks.looks import LooksBudget
from lab.callbacks.minutes import Minutes
from lab.callbacks.neighbours import Neighbours
from lab.callbacks.progress import LabProgressBar
from lab.callbacks.run_control import RunControl
from lab.data.dataset import LabData
from lab.fitting.decisions import Decisions
from lab.fitting.origin import Origin
from lab.forecasting.law import Forecast
from lab.limits import THREADS_VARIABLE
from lab.settings.parse import Settings
from lab.training.callback import FitContext, attach
from lab.training.checkpoint_io import LabCheckpointIO
from lab.training.logbook import Logbook
from lab.training.loop import StepLoop
from lab.training.one_process import OneProcess
from lab.training.stopping import StoppableTrainer


def make_trainer(
    settings: Settings,
    decisions: Decisions,
    origin: Origin,
    logbook: Logbook,
    loggers: list[Logger],
    interrupts: Interrupts,
    forecast: Forecast | None = None,
    *,
    bar: bool = True,
) -> StoppableTrainer:
    """The trainer with its callbacks: first what measures, then the user's own, last what saves."""
    trainer = build_trainer(
        settings,
        logger=loggers,
        plugins=[LabCheckpointIO(background=True, compares=decisions.compares)],
        precision=decisions.levers.precision,
        max_steps=decisions.steps,
        max_epochs=-1,
        val_check_interval=2**40,  # never by Lightning's count of batches: the Validation callback decides
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,  # the lab's own is one of its callbacks
        enable_model_summary=False,
        default_root_dir=logbook.run.path,
    )
    checkpoints, samples = settings.group("checkpoint"), settings.group("samples")
    bars = [LabProgressBar()] if bar and settings.group("trainer")["enable_progress_bar"] is not False else []
    wanted, levers = settings.group("levers"), decisions.levers
    fewer = wanted.threads is None and not os.environ.get(THREADS_VARIABLE)
    beside = levers.compile == "beside"
    callbacks = [
        settings.group("log"),
        LooksBudget(),
        Minutes(settings.values.horizon.minutes),
        Neighbours(levers.threads, levers.give_way and levers.device == "cpu", fewer),
        *([CompileBeside(levers, settings.values.data.cache_dir)] if beside else []),
        *(settings.group(instrument.group) for instrument in INSTRUMENTS),
        settings.group("validation"),
        Reforecast(forecast),
        settings.group("snapshots"),
        interrupts,
        checkpoints,
        RunControl(interrupts, checkpoints, samples, keep_rate=origin.kind != "fork"),
        *bars,
    ]
    say = bars[0].say if bars else None
    attach(FitContext(trainer, settings.module, settings.data, logbook, callbacks, say, compares=decisions.compares))
    trainer.fit_loop.epoch_loop = StepLoop(trainer)
    return trainer


def build_trainer(settings: Settings, **overrides: Any) -> StoppableTrainer:
    """The trainer of the `trainer:` group; `overrides` is what the lab decides."""
    given = {**settings.group("trainer"), **overrides}
    given["plugins"] = [OneProcess(), *overrides.get("plugins", ())]
    if given["devices"] == "auto":
        given["devices"] = 1  # Lightning would take every GPU there is
    return StoppableTrainer(**given)


def out_of_memory(data: LabData) -> str:
    """What to do when a step does not fit: its micro-batches can be made smaller without changing what it learns."""
    return (
        f"out of memory with data.batch_size {data.batch_size}: give --data.tokens_per_step {data.tokens_per_step} and"
        f" a smaller data.batch_size, such as {max(1, data.batch_size // 2)} (the results stay the same), or a smaller"
        " model or context"
    )
