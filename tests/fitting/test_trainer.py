"""The trainer of a run: whose callbacks act when, and what is never left to Lightning."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import pytest
from lightning.pytorch.callbacks import ProgressBar

from lab.callbacks.interrupts import Interrupts
from lab.callbacks.progress import LabProgressBar
from lab.fitting.decisions import decide
from lab.fitting.origin import Origin
from lab.fitting.trainer import make_trainer, out_of_memory
from lab.runs import create_run
from lab.settings.arguments import Arguments
from lab.settings.parse import Settings
from lab.training.callback import LightningAdapter, callbacks_of
from lab.training.logbook import Logbook
from tests.tiny import tiny_args


def trainer_of(folder: Path, *more: str, bar: bool = True) -> tuple[L.Trainer, Settings]:
    settings = Settings("fit", Arguments.of(tiny_args(folder, *more))).build()
    decisions = decide(settings, Origin("new"))
    logbook = Logbook(create_run(folder / "runs", None), decisions.seams)
    logbook.close()
    return make_trainer(settings, decisions, Origin("new"), logbook, [], Interrupts(), bar=bar), settings


def test_the_users_callbacks_come_after_what_measures_and_before_what_saves(tmp_path: Path) -> None:
    trainer, _ = trainer_of(tmp_path, "--trainer.callbacks=lightning.pytorch.callbacks.DeviceStatsMonitor")
    names = [type(getattr(callback, "callback", callback)).__name__ for callback in callbacks_of(trainer)]
    assert names.index("Interrupts") < names.index("DeviceStatsMonitor") < names.index("Checkpoints")


@pytest.mark.parametrize(("bar", "flag"), [(False, []), (True, ["--trainer.enable_progress_bar=false"])])
def test_without_a_progress_bar(bar: bool, flag: list[str], tmp_path: Path) -> None:
    trainer, _ = trainer_of(tmp_path, *flag, bar=bar)
    callbacks = callbacks_of(trainer)
    assert not [callback for callback in callbacks if isinstance(callback, ProgressBar)]
    ours = [adapter.callback for adapter in callbacks if isinstance(adapter, LightningAdapter)]
    assert ours
    assert not [callback for callback in ours if isinstance(callback, LabProgressBar)]


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
