"""Rules about losses that are too low: each finds its own fault."""

from __future__ import annotations

from typing import Any

import pytest

from lab.runs.facts import Facts
from tests.diagnosis.runs import (
    changed,
    check_finding,
    facts,
    flat,
    healthy,
    names,
    told,
)

FAULTY: dict[str, tuple[dict[str, dict[int, Any]], Facts]] = {
    "sees_future": (changed("audit/sees_future", lambda s, v: 0.3), facts()),
    "labels": (changed("audit/next_targets", lambda s, v: 0.05), facts()),
    "too_good": (healthy() | {"train/loss": flat(0.3)}, facts()),
    "leakage": (healthy() | {"audit/val_in_train": {0: 1.0}}, facts()),
    "dropout_in_evaluation": (healthy() | {"audit/training_mode": {0: 1.0}}, facts(model__config__dropout=0.1)),
}


@pytest.mark.parametrize("rule", FAULTY)
def test_each_rule_finds_its_own_fault(rule: str) -> None:
    check_finding(rule, *FAULTY[rule])


def test_validation_far_below_training_is_a_leak_unless_the_text_is_made() -> None:
    curves = changed("val/loss", lambda s, v: 0.7 * v if s > 100 else v)
    assert "leakage" in names(told(curves))
    assert "leakage" not in names(told(curves, facts(data={"steps_per_epoch": None})))
    assert "leakage" not in names(told(curves, facts(model__config__dropout=0.2)))


def test_a_model_below_the_floor_is_too_good() -> None:
    assert "too_good" in names(told(healthy(), facts(baselines={"floor": 3.0})))
