"""A small disk: what is said before the first step, and what gives way during the run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import lab.fitting.disk_space
from lab.__main__ import main
from lab.runs import open_run
from lab.runs.events import CheckpointSaved, InstrumentFailed, RoomMade, of_kind
from tests.tiny import losses, tiny_args

WIDE = ("--model.config.n_layers=4", "--model.config.d_model=64")  # 0.2M parameters: a checkpoint has 2.5 MB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 6 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root: run the tests as root")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("this system refuses to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def on(disk: Path, tmp_path: Path, *more: str, steps: int = 60) -> list[str]:
    args = tiny_args(tmp_path, *WIDE, *more, steps=steps)
    args[args.index("--run.root") + 1] = str(disk)
    return args


def test_what_is_only_to_look_at_gives_way_to_checkpoints(
    disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *on(disk, tmp_path, "--tensorboard=true", "--snapshots.every=3")]) == 0
    shown = capsys.readouterr()
    assert "room: the run will write about" in shown.out
    assert "--snapshots.every" in shown.out
    assert "snapshots at step" in shown.err
    assert "the training goes on" in shown.err
    run = open_run(disk / "tiny")
    assert run.status().state == "completed"
    assert "snapshots" in {event.instrument for event in of_kind(run.events(), InstrumentFailed)}
    assert of_kind(run.events(), RoomMade)
    assert [event.step for event in of_kind(run.events(), CheckpointSaved)] == list(range(6, 61, 6))
    assert run.checkpoints()[-1].step == 60
    assert list(losses(run.path)) == list(range(60))


def test_where_no_checkpoint_has_room_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lab.fitting.disk_space, "free_bytes", lambda folder: 3_000_000)
    assert main(["fit", *tiny_args(tmp_path, *WIDE)]) == 2
    assert "checkpoints need" in capsys.readouterr().err
    assert not (tmp_path / "runs" / "tiny").exists()
    assert main(["fit", *tiny_args(tmp_path, *WIDE, "--checkpoint.every=0", "--snapshots.every=0")]) == 0


@pytest.mark.parametrize(
    ("planned", "missing", "setting"),
    [
        ({"tensorboard": 9, "snapshots.every": 5, "probes.every": 5}, 9, "--tensorboard false makes"),
        ({"tensorboard": 1, "snapshots.every": 5, "probes.every": 5}, 9, "--snapshots.every 0 makes"),
        ({"tensorboard": 1, "snapshots.every": 1, "probes.every": 1}, 9, "--checkpoint.keep 1"),
    ],
)
def test_the_setting_that_makes_it_fit(planned: dict[str, int], missing: int, setting: str) -> None:
    assert setting in lab.fitting.disk_space.remedy(planned, missing)


def test_a_dashboard_that_fails_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lightning.pytorch.loggers import TensorBoardLogger

    def refuse(self: TensorBoardLogger, metrics: object, step: int | None = None) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TensorBoardLogger, "log_metrics", refuse)
    assert main(["fit", *tiny_args(tmp_path, "--tensorboard=true")]) == 0
    assert "TensorBoard at step 0" in capsys.readouterr().err
    run = open_run(tmp_path / "runs" / "tiny")
    assert run.status().state == "completed"
    assert [event.instrument for event in of_kind(run.events(), InstrumentFailed)] == ["TensorBoard"]
