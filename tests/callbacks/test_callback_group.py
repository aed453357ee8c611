"""Several callbacks seen as one: who is called, in which order, and what a checkpoint keeps of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from lab.callbacks.callback_group import HOOKS, CallbackGroup, find_callback

calls: list[str] = []


class Speaker(Callback):
    """Says when it is called, and remembers a number."""

    def __init__(self, name: str, number: int = 0) -> None:
        self.name, self.number = name, number

    @property
    def state_key(self) -> str:
        return f"speaker {self.name}"

    def on_train_start(self, *_: object) -> None:
        calls.append(f"{self.name} train_start")

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, n: int) -> None:
        calls.append(f"{self.name} batch_end {n}")

    def state_dict(self) -> dict[str, int]:
        return {"number": self.number} if self.number else {}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.number = state_dict["number"]


class Silent(Callback):
    """Does nothing at all."""


@pytest.fixture(autouse=True)
def _silence() -> None:
    calls.clear()


def test_hooks_are_called_in_order_and_empty_ones_not_at_all() -> None:
    group = CallbackGroup([Speaker("a"), Silent(), Speaker("b")])
    group.on_train_start(None, None)
    group.on_train_batch_end(None, None, None, (), 7)
    assert calls == ["a train_start", "b train_start", "a batch_end 7", "b batch_end 7"]
    assert {hook for hook in HOOKS if hook in vars(group)} == {"on_train_start", "on_train_batch_end"}


def test_lightning_calls_it_as_it_would_its_members() -> None:
    class Module(L.LightningModule):
        def training_step(self, batch: Any, n: int) -> torch.Tensor:
            return self.weight.sum()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(2))

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    heard = []
    for callbacks in ([Speaker("a"), Speaker("b")], [CallbackGroup([Speaker("a"), Speaker("b")])]):
        calls.clear()
        trainer = L.Trainer(max_steps=2, callbacks=callbacks, enable_model_summary=False, **quiet)
        trainer.fit(Module(), torch.utils.data.DataLoader(torch.zeros(4, 1)))
        heard.append(list(calls))
    assert heard[0] == heard[1]
    assert "b batch_end 1" in heard[0]


def test_a_checkpoint_keeps_each_state_under_its_members_key() -> None:
    checkpoint: dict[str, Any] = {"callbacks": {}}
    CallbackGroup([Speaker("a", 3), Silent(), Speaker("b")]).on_save_checkpoint(None, None, checkpoint)
    assert checkpoint == {"callbacks": {"speaker a": {"number": 3}}}
    members = [Speaker("a"), Speaker("b", 5)]
    CallbackGroup(members).on_load_checkpoint(None, None, checkpoint)
    assert [member.number for member in members] == [3, 5]


def test_a_callback_is_found_whoever_holds_it() -> None:
    inside, outside = Speaker("inside"), Silent()
    trainer = SimpleNamespace(callbacks=[CallbackGroup([inside]), outside])
    assert find_callback(trainer, Speaker) is inside
    assert find_callback(trainer, Silent) is outside
    assert find_callback(trainer, CallbackGroup) is None
