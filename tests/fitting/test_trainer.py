"""The trainer of a run: whose callbacks act when, and what is never left to Lightning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import Callback, ProgressBar

from lab.callbacks.interrupts import Interrupts
from lab.fitting.decisions import decide
from lab.fitting.origin import Origin
from lab.fitting.trainer import make_trainer, out_of_memory
from lab.runs import create_run
from lab.settings.arguments import Arguments
from lab.settings.parse import Settings
from lab.training.trainer import LabTrainer
from tests.tiny import tiny_args


def trainer_of(folder: Path, *more: str, bar: bool = True) -> tuple[LabTrainer, Settings]:
    settings = Settings("fit", Arguments.of(tiny_args(folder, *more))).build()
    decisions = decide(settings, Origin("new"))
    run = create_run(folder / "runs", None)
    return make_trainer(settings, decisions, Origin("new"), run, [], Interrupts(), bar=bar), settings


def callbacks_of(trainer: Any) -> list[Callback]:
    return list(trainer.callbacks)


def test_the_users_callbacks_come_last(tmp_path: Path) -> None:
    trainer, _ = trainer_of(tmp_path, "--trainer.callbacks=lightning.pytorch.callbacks.DeviceStatsMonitor")
    assert type(callbacks_of(trainer)[-1]).__name__ == "DeviceStatsMonitor"


@pytest.mark.parametrize(("bar", "flag"), [(False, []), (True, ["--trainer.enable_progress_bar=false"])])
def test_without_a_progress_bar(bar: bool, flag: list[str], tmp_path: Path) -> None:
    trainer, _ = trainer_of(tmp_path, *flag, bar=bar)
    assert not [callback for callback in callbacks_of(trainer) if isinstance(callback, ProgressBar)]


def test_the_run_decides_length_and_device(tmp_path: Path) -> None:
    trainer, _ = trainer_of(tmp_path)
    assert (trainer.max_steps, trainer.num_devices, trainer.max_epochs) == (12, 1, -1)
    assert trainer.default_root_dir.startswith(str(tmp_path))


def test_out_of_memory_names_the_setting_that_changes_nothing(tmp_path: Path) -> None:
    _, settings = trainer_of(tmp_path)
    said = out_of_memory(settings.data)
    assert "data.batch_size 4:" in said
    assert "--data.tokens_per_step 64" in said
    assert "such as 2" in said
