from __future__ import annotations

import math

import pytest
import torch

from lab.model import GPT, cross_entropy
from tests.variants import all_pairs_configs

LOGITS = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([[3, -1, 0], [6, 6, -1]])


def by_hand() -> torch.Tensor:
    """-ln p of each target, written out in double precision; 0 where there is none."""
    p = LOGITS.double().exp() / LOGITS.double().exp().sum(-1, keepdim=True)
    nats = [
        [-math.log(p[b, i, t]) if t >= 0 else 0.0 for i, t in enumerate(row)]
        for b, row in enumerate(TARGETS.tolist())
    ]
    return torch.tensor(nats, dtype=torch.float64)


def test_it_is_minus_the_log_probability_of_the_targets_that_count() -> None:
    each = cross_entropy(LOGITS, TARGETS, "none")
    torch.testing.assert_close(each.double(), by_hand(), atol=1e-6, rtol=0)
    assert each.shape == TARGETS.shape
    assert cross_entropy(LOGITS, TARGETS, "sum").item() == pytest.approx(by_hand().sum().item(), abs=1e-5)
    assert cross_entropy(LOGITS, TARGETS).item() == pytest.approx(by_hand().sum().item() / 4, abs=1e-6)


def test_nothing_to_predict_is_no_number() -> None:
    assert cross_entropy(LOGITS, torch.full_like(TARGETS, -1)).isnan()
    assert cross_entropy(LOGITS, torch.full_like(TARGETS, -1), "sum") == 0


def test_it_is_computed_in_fp32_and_survives_huge_logits() -> None:
    low = LOGITS.bfloat16()
    assert cross_entropy(low, TARGETS).dtype == torch.float32
    torch.testing.assert_close(cross_entropy(low, TARGETS), cross_entropy(low.float(), TARGETS))
    assert cross_entropy(LOGITS * 1e4, TARGETS).isfinite()


def test_the_models_loss_is_that_of_its_logits() -> None:
    for config in all_pairs_configs(dropout=0.0):
        model = GPT(config)
        tokens = torch.randint(0, config.vocab_size, (2, 8))
        targets = tokens.roll(-1, 1)
        targets[:, -1] = -1
        for reduction in ("mean", "sum", "none"):
            expected = cross_entropy(model(tokens), targets, reduction)
            torch.testing.assert_close(model.loss(tokens, targets, reduction), expected)
