"""The check of all settings together, before anything is built: each group by itself, then all against each other."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import StochasticWeightAveraging, WeightAveraging

from lab.checks import missing_extra
from lab.data.folders import find_files, find_ids
from lab.data.idformats import open_ids
from lab.data.tokenizers import load_tokenizer
from lab.model import GPTConfig, count_parameters
from lab.runs.run import check_new_run
from lab.settings.groups import GROUPS
from lab.training.horizon import HorizonConfig, resolve_steps
from lab.training.machine import total_memory
from lab.training.one_process import OneProcess
from lab.training.optimizers import OptimizerConfig
from lab.training.schedules import ScheduleConfig

MOST_IDS = 1 << 31  # where the vocabulary is not opened yet: as many as any file may name
MOST_SEED = 2**32 - 1  # what NumPy takes
AVERAGING = (WeightAveraging, StochasticWeightAveraging)  # EMAWeightAveraging is one of the first


def problems_of(config: Any) -> list[str]:
    """Construct each group by itself and gather every complaint: mistakes are told together."""
    model = config.model
    builders: list[Callable[[], Any]] = [
        lambda: check_size(GPTConfig(**{**vars(model.config), "vocab_size": 256})),
        lambda: OptimizerConfig(**vars(model.optimizer)),
        lambda: ScheduleConfig(**vars(model.schedule)),
        *(partial(group, **vars(config[name])) for name, group in GROUPS.items()),
        lambda: check_length(config),
        lambda: check_place(config),
        lambda: check_files(config.data),
        lambda: check_trainer(config.trainer),
        lambda: check_callbacks(config.trainer.callbacks),
    ]
    problems: list[str] = []
    for build in builders:
        try:
            build()
        except ValueError as error:
            lines = [f"model.{x}" if x.startswith(("optimizer.", "schedule")) else x for x in str(error).splitlines()]
            problems += [line for line in lines if line not in problems]
    positions, asked = model.config.context_length, config.data.context_length
    if isinstance(asked, int) and asked > positions:
        problems.append(
            f"data.context_length is {asked}, but the model has {positions} positions:"
            f" set model.config.context_length to {asked} or more"
        )
    if config.wandb != "off" and (missing := missing_extra("wandb", "wandb")):
        problems.append(f"wandb is {config.wandb!r}: {missing}, or leave it off")
    devices = config.trainer.devices
    if devices not in ("auto", 1, "1") and not (isinstance(devices, list) and len(devices) == 1):
        problems.append(f"trainer.devices is {devices}: a run trains on one; leave it out, or name it in a list")
    seed = config.seed_everything
    if isinstance(seed, bool) or not 0 <= seed <= MOST_SEED:
        problems.append(f"seed_everything is {str(seed).lower()}: give a whole number from 0 to {MOST_SEED}")
    return problems


def check_length(config: Any) -> None:
    """Raise `ValueError` for a schedule that does not fit into the run, where its steps are known before the text is.

    They are not of minutes, whose schedule is fitted to what the clock allows, of tokens for each parameter where the
    text determines the vocabulary, and of tokens where a run goes on, which has some behind it.
    """
    data, model, horizon = config.data, config.model, HorizonConfig(**vars(config.horizon))
    goes_on = any(getattr(config, name, None) is not None for name in ("resume", "fork", "weights"))
    if horizon.minutes is not None or (goes_on and horizon.steps is None):
        return
    vocab_size = 257 if data.tokenizer == "bytes" else data.vocab_size if data.tokenizer == "bpe" else None
    if horizon.tokens_per_parameter is not None and vocab_size is None:
        return
    parameters = count_parameters(GPTConfig(**{**vars(model.config), "vocab_size": vocab_size or 2}))["total"]
    per_step = data.tokens_per_step or data.batch_size * (data.context_length or model.config.context_length)
    steps, _ = resolve_steps(horizon, per_step, parameters)
    if problems := ScheduleConfig(**vars(model.schedule)).problems(steps):
        raise ValueError("\n".join(problems))


def check_place(config: Any) -> None:
    """Raise `ValueError` where no run of that name can be made; a resumed one has its place."""
    name, root = config.run.name, config.run.root
    if getattr(config, "weights", None) is not None:
        return
    if getattr(config, "resume", None) is not None:
        if name is not None:
            raise ValueError(f"run.name is {name!r}: a run that goes on keeps its name; --fork starts one of that name")
        return
    check_new_run(root, name)


def check_files(data: Any) -> None:
    """Raise `ValueError` for a text or a tokenizer that is not there, before anything slow begins."""
    if data.corpus == "text" and data.path is not None:
        find_files(data.path)
    tokenizer = None
    if data.tokenizer.endswith(".json"):
        if not Path(data.tokenizer).exists():
            raise ValueError(f"data.tokenizer is {data.tokenizer!r}: no such file")
        tokenizer = load_tokenizer(data.tokenizer)
    if data.corpus == "tokens" and data.path is not None:
        found = find_ids(data.path)
        for file in (*found.files, *found.val_files):  # that each id is known is seen when all is read
            open_ids(file, tokenizer.vocab_size if tokenizer else MOST_IDS, (data.corpus_options or {}).get("dtype"))


def check_size(config: GPTConfig) -> None:
    """Raise `ValueError` for a model whose weights alone are larger than this machine's memory."""
    need = 4 * count_parameters(config)["total"]
    memory = total_memory("cpu")
    if need > memory:
        raise ValueError(
            f"the model's weights take {need / 1e9:,.0f} GB and this machine has {memory / 1e9:,.0f} GB of memory:"
            f" lower model.config.n_layers (now {config.n_layers}), d_model (now {config.d_model}) or context_length"
            f" (now {config.context_length})"
        )


def check_trainer(given: Any) -> None:
    """Raise `ValueError` for what Lightning would refuse once the run directory is there already.

    Classes (callbacks, plugins, a profiler) are not built yet, and the precision is one of the levers.
    """
    plain = {k: v for k, v in vars(given).items() if k not in ("callbacks", "plugins", "precision")}
    plain = {k: v for k, v in plain.items() if isinstance(v, bool | int | float | str | list | dict | None)}
    if plain["devices"] == "auto":
        plain["devices"] = 1
    silent = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary", "enable_progress_bar"), False)
    try:
        L.Trainer(**plain | silent, plugins=[OneProcess()])
    except (MisconfigurationException, ValueError, TypeError, OverflowError) as error:
        asked = "" if given.accelerator in ("auto", "cpu") else f" (trainer.accelerator is {given.accelerator!r})"
        raise ValueError(f"trainer: {' '.join(str(error).split())}{asked}") from None


def check_callbacks(given: Any) -> None:
    """Raise `ValueError` for callbacks that put averaged weights in the place of those that are trained.

    The losses, the checkpoint and the snapshot of one step would be of two models, and nothing would say of which.
    """
    asked = given if isinstance(given, list) else [given]
    for path in filter(None, (getattr(one, "class_path", None) for one in asked)):
        module, _, name = path.rpartition(".")
        kind = getattr(importlib.import_module(module), name)
        if isinstance(kind, type) and issubclass(kind, AVERAGING):
            raise ValueError(
                f"trainer.callbacks has {name}: it validates and saves averaged weights in the place of those that are"
                " trained, and one step would have two models; leave it out (a rate that falls to 0 has a like"
                " effect: model.schedule.final_lr_fraction 0)"
            )
