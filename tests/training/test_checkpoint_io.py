"""Writing checkpoint files under kill -9 and on a full disk."""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import resource
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from lab.errors import WriteError
from lab.runs.checkpoint_state import read_state
from lab.training import checkpoint_io
from lab.training.checkpoint_io import Copier, LabCheckpointIO, Written, write_state
from tests.patience import PATIENCE


def a_state(value: float = 1.0, size: int = 1000) -> dict[str, Any]:
    return {
        "state_dict": {"w": torch.full((size,), value)},
        "global_step": int(value),
        "hyper_parameters": {"n": 1},
    }


def in_a_child(work: Callable[[], None]) -> int:
    """Run `work` in a fork of this process; its process id."""
    child = os.fork()
    if child:
        return child
    try:
        torch.set_num_threads(1)  # the threads of the pool are not copied by a fork: work shared with them would wait
        work()
    finally:
        os._exit(0)


def test_what_is_written_is_read_and_its_hash_and_size_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "step.ckpt"
    written = write_state(a_state(3.0), path)
    content = path.read_bytes()
    assert (written.sha256, written.size) == (hashlib.sha256(content).hexdigest(), len(content))
    state = read_state(path)
    assert torch.equal(state["state_dict"]["w"], torch.full((1000,), 3.0))
    assert (state["global_step"], state["hyper_parameters"]) == (3, {"n": 1})


class Tiny(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        return self.layer(batch).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.1)


def test_lightning_saves_and_resumes_through_it(tmp_path: Path) -> None:
    def trainer(steps: int) -> L.Trainer:
        return L.Trainer(
            accelerator="cpu",
            max_steps=steps,
            plugins=[LabCheckpointIO()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )

    def fit(model: Tiny, steps: int, checkpoint: Path | None = None) -> L.Trainer:
        fitted = trainer(steps)
        data = DataLoader(torch.ones(40, 3), batch_size=2)  # every batch alike: only the state is at stake
        fitted.fit(model, data, ckpt_path=None if checkpoint is None else str(checkpoint))
        return fitted

    torch.manual_seed(0)
    whole = Tiny()
    half = Tiny()
    half.load_state_dict(whole.state_dict())
    fit(whole, 6)
    first = fit(half, 3)
    first.save_checkpoint(tmp_path / "half.ckpt")
    resumed = Tiny()
    fit(resumed, 6, tmp_path / "half.ckpt")
    assert torch.equal(resumed.layer.weight, whole.layer.weight)
    io = first.strategy.checkpoint_io
    assert isinstance(io, LabCheckpointIO)
    assert io.newest is not None
    assert io.newest.sha256 == hashlib.sha256((tmp_path / "half.ckpt").read_bytes()).hexdigest()


def test_kill_9_while_writing_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    write_state(a_state(0.0, 1_000_000), path)

    def write_for_ever() -> None:
        for step in range(1, 100_000):
            write_state(a_state(float(step), 1_000_000), path)

    times = random.Random(0)
    for _ in range(8):
        before = path.stat().st_mtime_ns
        child = in_a_child(write_for_ever)
        while path.stat().st_mtime_ns == before:  # until the child has written its first
            time.sleep(0.001)
        time.sleep(times.uniform(0.0, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        state = read_state(path)
        assert (state["state_dict"]["w"] == state["global_step"]).all()
        assert state["global_step"] >= 1


def test_a_full_disk_says_so_and_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    write_state(a_state(1.0), path)

    def write_more_than_fits() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        try:
            write_state(a_state(2.0, 1_000_000), path)
        except WriteError as error:
            (tmp_path / "said").write_text(str(error))

    os.waitpid(in_a_child(write_more_than_fits), 0)
    assert "could not write" in (tmp_path / "said").read_text()
    assert read_state(path)["global_step"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last.ckpt", "said"]


def test_a_value_that_cannot_be_pickled_is_no_disk_error(tmp_path: Path) -> None:
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        write_state({"state_dict": {}, "f": lambda: 0}, tmp_path / "x.ckpt")
    assert not list(tmp_path.iterdir())


def test_a_file_that_may_run_code_is_not_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="weights_only=True only"):
        LabCheckpointIO().load_checkpoint(tmp_path / "any.ckpt", weights_only=False)


# ---------------------------------------------------------------- in the background


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Writing waits until this is set."""
    opened = threading.Event()

    def slow(state: dict[str, Any], path: Path) -> Written:
        assert opened.wait(PATIENCE)
        return write_state(state, path)

    monkeypatch.setattr(checkpoint_io, "write_state", slow)
    return opened


def test_training_goes_on_while_the_state_of_the_moment_is_written(tmp_path: Path, gate: threading.Event) -> None:
    io, state, order = LabCheckpointIO(background=True), a_state(1.0), list[str]()
    io.save_checkpoint(state, tmp_path / "1.ckpt")
    io.once_written(lambda written: order.append(written.path.name))
    state["state_dict"]["w"].fill_(7.0)  # the next training step
    assert not (tmp_path / "1.ckpt").exists()
    assert not order
    gate.set()
    io.save_checkpoint(state, tmp_path / "2.ckpt")  # waits for the first
    assert read_state(tmp_path / "1.ckpt")["state_dict"]["w"].unique().tolist() == [1.0]
    assert order == ["1.ckpt"]
    io.finish()
    assert read_state(tmp_path / "2.ckpt")["state_dict"]["w"].unique().tolist() == [7.0]
    assert io.newest is not None
    assert io.newest.sha256 == hashlib.sha256((tmp_path / "2.ckpt").read_bytes()).hexdigest()


def test_a_write_that_failed_behind_the_back_is_told_once_and_records_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file where the folder should be")
    io, recorded = LabCheckpointIO(background=True), list[Written]()
    io.save_checkpoint(a_state(), tmp_path / "folder" / "1.ckpt")
    io.once_written(recorded.append)

    def check_until_told() -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            io.check()
            time.sleep(0.01)

    with pytest.raises(OSError, match="folder"):
        check_until_told()
    assert not recorded
    io.check()
    io.save_checkpoint(a_state(2.0), tmp_path / "2.ckpt")
    io.once_written(recorded.append)
    io.finish()
    assert [written.path.name for written in recorded] == ["2.ckpt"]


def test_what_shall_follow_follows_at_once_without_a_background(tmp_path: Path) -> None:
    io, recorded = LabCheckpointIO(), list[Written]()
    io.save_checkpoint(a_state(), tmp_path / "1.ckpt")
    io.once_written(recorded.append)
    assert recorded == [io.newest]


def test_a_copy_is_equal_and_independent() -> None:
    shared = torch.arange(3.0)
    state = {"a": shared, "b": [shared, (1, "x")], "c": {"d": torch.nn.Parameter(torch.ones(2))}}
    copier = Copier()
    copy = copier.copy(state)
    shared.add_(1)
    assert copy["a"].tolist() == [0, 1, 2]
    assert copy["b"][0] is copy["a"]
    assert copy["b"][1] == (1, "x")
    assert not copy["c"]["d"].requires_grad
    again = copier.copy(state)
    assert again["a"].data_ptr() == copy["a"].data_ptr()
    assert again["a"].tolist() == [1, 2, 3]
    assert copier.copy({"a": torch.ones(4), "b": torch.zeros(4)})["a"].tolist() == [1, 1, 1, 1]


def test_a_trainer_waits_for_the_last_write(tmp_path: Path, gate: threading.Event) -> None:
    io = LabCheckpointIO(background=True)
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=[io],
        callbacks=[SaveAtStep(tmp_path / "1.ckpt")],
    )
    threading.Timer(0.5, gate.set).start()
    trainer.fit(Tiny(), DataLoader(torch.ones(8, 3), batch_size=2))
    assert read_state(tmp_path / "1.ckpt")["global_step"] == 1


class SaveAtStep(L.Callback):
    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.global_step == 1:
            trainer.save_checkpoint(self.path)


def test_states_of_callbacks_renamed_since_come_back_under_their_new_names(tmp_path: Path) -> None:
    path = tmp_path / "old.ckpt"
    write_state({"state_dict": {}, "callbacks": {"Journal": {"seconds": 2.5}, "RunControl": {"lr_scale": 0.5}}}, path)
    states = LabCheckpointIO().load_checkpoint(path)["callbacks"]
    assert states == {"MetricsLog": {"seconds": 2.5}, "RunControl": {"lr_scale": 0.5}}
