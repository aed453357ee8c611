from __future__ import annotations

import pytest
import torch

from lab.model import GPT, GPTConfig
from lab.model.reference import reference_loss
from tests.variants import TINY


def test_it_is_the_loss_in_fp32_without_dropout_and_leaves_the_mode() -> None:
    model = GPT(GPTConfig(**TINY, dropout=0.5)).train()
    tokens = torch.randint(0, 65, (40,))
    with torch.autocast("cpu", torch.bfloat16):
        found = reference_loss(model, tokens)
    assert model.training
    with torch.no_grad():
        expected = float(model.eval().loss(tokens[None, :16], tokens[None, 1:17]))
    assert found == pytest.approx(expected, abs=1e-6)
