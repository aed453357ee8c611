from __future__ import annotations

import itertools
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn

from lab.data.datamodule import LabDataModule
from lab.data.dataset import LabData
from lab.data.settings import DataSettings


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    text = tmp_path / "book.txt"
    text.write_text("".join(f"line {i} of a book about {i * i} foxes\n" for i in range(600)))
    return {"corpus": "text", "path": str(text), "tokenizer": "char", "context_length": 16, "batch_size": 4}


class Watcher(L.LightningModule):
    """Keeps what it is given; one parameter, so that there is something to step."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, Tensor]] = []
        self.validated: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.seen.append((self.trainer.global_step, batch[0]))
        self.manual_backward(self.weight.sum())
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        optimizer.step()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.validated.append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(folder: Path, max_steps: int) -> L.Trainer:
    return L.Trainer(
        default_root_dir=folder,
        max_steps=max_steps,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        check_val_every_n_epoch=None,
        val_check_interval=5,
        use_distributed_sampler=False,
    )


def test_one_item_is_one_step_and_resume_goes_on_where_it_was(settings: dict[str, Any], tmp_path: Path) -> None:
    data = LabDataModule(**settings, tokens_per_step=128)
    first = Watcher()
    fit = trainer(tmp_path, 5)
    fit.fit(first, data)
    fit.save_checkpoint(tmp_path / "five.ckpt")
    assert [step for step, _ in first.seen] == [0, 1, 2, 3, 4]

    second = Watcher()
    again = LabDataModule(**settings, tokens_per_step=128)
    trainer(tmp_path, 12).fit(second, again, ckpt_path=tmp_path / "five.ckpt")
    assert [step for step, _ in second.seen] == [5, 6, 7, 8, 9, 10, 11]
    for step, tokens in [*first.seen, *second.seen]:
        assert torch.equal(tokens, LabData(**settings, tokens_per_step=128).step_batch(step)[0])
    assert first.seen[0][1].shape == (2, 4, 16)


def test_validation_sees_the_whole_split(settings: dict[str, Any], tmp_path: Path) -> None:
    data = LabDataModule(**settings)
    model = Watcher()
    trainer(tmp_path, 5).fit(model, data)
    targets = torch.cat([targets.flatten() for _, targets in model.validated])
    expected = data.token_files["val"].array()[1:].tolist()
    assert targets[targets >= 0].tolist() == expected
    assert all(tokens.shape[1] == 16 for tokens, _ in model.validated)


class OneOf(LabDataModule):
    """A process among others, without starting any."""

    def __init__(self, rank: int, world: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.trainer = SimpleNamespace(global_rank=rank, world_size=world, global_step=3)  # type: ignore[assignment]


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_steps_and_validation(settings: dict[str, Any], world: int) -> None:
    step = 16 * 4 * world * 2
    ranks = [OneOf(rank, world, **settings, tokens_per_step=step) for rank in range(world)]
    alone = LabDataModule(**settings, tokens_per_step=step)
    parts = [next(iter(one.train_dataloader()))[0] for one in ranks]
    assert all(part.shape == (2, 4, 16) for part in parts)
    whole = alone.step_batch(3)[0].reshape(-1, 16)
    assert torch.equal(torch.cat([part.reshape(-1, 16) for part in parts]), whole)

    loaders = [list(one.val_dataloader()) for one in ranks]
    assert len({len(loader) for loader in loaders}) == 1
    assert all(len(loader) == len(one.val_dataloader()) for loader, one in zip(loaders, ranks, strict=True))
    # Dealt out in turn: batch i is process i mod world's.
    mixed = [batch for turn in zip(*loaders, strict=True) for batch in turn]
    targets = torch.cat([targets.flatten() for _, targets in mixed])
    assert targets[targets >= 0].tolist() == alone.token_files["val"].array()[1:].tolist()


def test_a_step_that_does_not_divide_among_processes_is_refused(settings: dict[str, Any]) -> None:
    one = OneOf(0, 3, **settings, tokens_per_step=128)
    with pytest.raises(ValueError, match="on 3 processes: 192; the nearest are 192"):
        one.setup()
    assert OneOf(0, 3, **settings).tokens_per_step == 192


def test_the_loader_starts_at_the_trainers_step(settings: dict[str, Any]) -> None:
    one = OneOf(0, 1, **settings)
    for step, (tokens, _) in zip(range(3, 6), itertools.islice(one.train_dataloader(), 3), strict=True):
        assert torch.equal(tokens, one.step_batch(step)[0])


def test_help_explains_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(LabDataModule, "data")
    explained = {a.dest: a.help for a in parser._actions if a.dest.startswith("data.")}
    settings = {field.name for field in fields(DataSettings)}
    assert set(explained) == {f"data.{name}" for name in settings}
    assert all(explained[f"data.{name}"] for name in settings)
