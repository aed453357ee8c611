"""Rules about updates: each finds its own fault."""

from __future__ import annotations

from typing import Any

import pytest

from lab.runs.facts import Facts
from tests.diagnosis.runs import (
    after,
    both_layers,
    changed,
    check_finding,
    facts,
    healthy,
)

FAULTY: dict[str, tuple[dict[str, dict[int, Any]], Facts]] = {
    "lr_too_high": (both_layers("update_ratio", 0.3), facts()),
    "lr_too_low": (both_layers("update_ratio", 1e-4), facts()),
    "gradient_growth": (changed("train/grad_norm", after(300, 40)), facts()),
    "clipping_always": (healthy(), facts(model__optimizer__clip=0.02)),
}


@pytest.mark.parametrize("rule", FAULTY)
def test_each_rule_finds_its_own_fault(rule: str) -> None:
    check_finding(rule, *FAULTY[rule])
