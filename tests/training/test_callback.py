"""The lab's callbacks under Lightning: which moments are called, in which order, and what a checkpoint keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import lightning as L
import pytest
import torch

from lab.training.callback import HOOKS, FitCallback, FitContext, LightningAdapter, attach

calls: list[str] = []


class Speaker(FitCallback):
    """Says when it is called, and remembers a number."""

    def __init__(self, name: str) -> None:
        self.name, self.number = name, 0

    def start(self, fit: FitContext) -> None:
        calls.append(f"{self.name} starts at {fit.step} of {fit.total_steps}")

    def before_step(self, fit: FitContext, batch: Any) -> None:
        calls.append(f"{self.name} reads {batch}")

    def after_step(self, fit: FitContext) -> None:
        calls.append(f"{self.name} has done {fit.step}")

    def failed(self, fit: FitContext, error: BaseException) -> None:
        calls.append(f"{self.name} hears {error}")

    def state_dict(self) -> dict[str, int]:
        return {"number": self.number}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.number = state_dict["number"]


class Silent(FitCallback):
    """Does nothing at all."""


class Stranger(L.Callback):
    """A user's callback."""

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        calls.append(f"stranger has done {trainer.global_step}")


class Module(L.LightningModule):
    """One number that learns; fails at step `fails_at`."""

    def __init__(self, fails_at: int | None = None) -> None:
        super().__init__()
        self.weight, self.fails_at = torch.nn.Parameter(torch.ones(1)), fails_at

    def training_step(self, batch: Any, n: int) -> torch.Tensor:
        if n == self.fails_at:
            raise ArithmeticError("it is too much")
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(module: L.LightningModule, *callbacks: FitCallback, resume: Path | None = None) -> FitContext:
    """Two steps with the lab's callbacks and a user's."""
    calls.clear()
    trainer = L.Trainer(
        max_steps=2, callbacks=Stranger(), accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    fit = FitContext(trainer, *[cast(Any, None)] * 3, callbacks)
    attach(fit)
    trainer.fit(module, torch.utils.data.DataLoader([7, 8, 9, 10]), ckpt_path=resume, weights_only=True)
    return fit


def test_moments_come_in_order_ours_before_a_users() -> None:
    train(Module(), Speaker("a"), Silent(), Speaker("b"))
    assert calls == [
        "a starts at 0 of 2", "b starts at 0 of 2",
        "a reads tensor([7])", "b reads tensor([7])", "a has done 1", "b has done 1", "stranger has done 1",
        "a reads tensor([8])", "b reads tensor([8])", "a has done 2", "b has done 2", "stranger has done 2",
    ]  # fmt: skip


def test_only_what_a_callback_defines_is_a_hook() -> None:
    adapters = [LightningAdapter(callback, cast(Any, None)) for callback in (Speaker("a"), Silent())]
    hooks = [{hook for hook in HOOKS.values() if hook in vars(adapter)} for adapter in adapters]
    assert hooks == [{"on_train_start", "on_train_batch_start", "on_train_batch_end", "on_exception"}, set()]
    assert all(hasattr(L.Callback, hook) for hook in HOOKS.values())


def test_an_error_is_heard_of() -> None:
    with pytest.raises(ArithmeticError):
        train(Module(fails_at=1), Speaker("a"))
    assert calls[-1] == "a hears it is too much"


def test_a_checkpoint_keeps_each_state_under_its_class(tmp_path: Path) -> None:
    one, other = Speaker("a"), Speaker("b")
    one.number = 3
    fit = train(Module(), one, Silent())
    fit.trainer.save_checkpoint(tmp_path / "a.ckpt")
    kept = torch.load(tmp_path / "a.ckpt", weights_only=True)["callbacks"]
    assert {name: state for name, state in kept.items() if state} == {"Speaker": {"number": 3}}
    train(Module(), other, resume=tmp_path / "a.ckpt")
    assert other.number == 3


def test_a_callback_is_found_by_its_kind() -> None:
    silent = Silent()
    fit = FitContext(*[cast(Any, None)] * 4, [Speaker("a"), silent])
    assert fit.find(Silent) is silent
    assert fit.find(Speaker) is fit.callbacks[0]
    assert FitContext(*[cast(Any, None)] * 4).find(Silent) is None
