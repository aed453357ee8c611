"""Model and data: every part of a model has a name."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args, get_origin, get_type_hints

from lab.model import GPTConfig
from lab.report.run_record import RunRecord
from lab.report.sections.model_and_data import PARTS, model_and_data
from lab.runs.series import Columns
from tests.report.runs import text_in


def test_every_switch_of_a_model_has_a_name() -> None:
    switches = {name: get_args(kind) for name, kind in get_type_hints(GPTConfig).items() if get_origin(kind) is Literal}
    assert {name: tuple(named) for name, named in PARTS.items()} == switches


def test_the_numbers_are_the_runs_own(record: RunRecord) -> None:
    text = text_in(model_and_data(record))
    for said in (
        "| network | 2 layers, 2 heads of 16, 32 wide; context of 16 tokens |",
        "| its parts | rotary positions, RMSNorm before each branch, SwiGLU MLP, QK-norm, tied head, no biases |",
        "20,000 parameters, 16 % of them for the vocabulary",  # 100 · 32 of 20,000
        "| tokenizer | `bpe`: 100 tokens, 3 bytes per token |",
        "50,000 tokens to train on, validated on 5,000 held out; public domain",
        "| training | 25,600 tokens in 400 steps of 64, 51 % of the training text, 1.3 tokens per parameter |",
        "Baselines on the held-out text, in nats per token: guessing evenly 4.605, knowing how common each token is",
    ):
        assert said in text, said


def test_what_is_not_known_is_left_out(record: RunRecord) -> None:
    status = replace(record.status, details={}, created=None, tokens=None, step=None)
    known = {"config": {}, "data": {}, "checkpoints": [], "snapshots": [], "columns": Columns(), "rows": 0}
    assert model_and_data(replace(record, status=status, **known)).blocks == []
