"""Rules about the budget of tokens: each finds its own fault."""

from __future__ import annotations

from typing import Any

import pytest

from lab.runs.facts import Facts
from tests.diagnosis.runs import (
    at_looks,
    check_finding,
    facts,
    flat,
    healthy,
)

FAULTY: dict[str, tuple[dict[str, dict[int, Any]], Facts]] = {
    "batch_size": (healthy() | {"stats/critical_batch": at_looks(300)}, facts(data={"tokens_per_step": 65536})),
    "undertrained": (healthy(), facts(parameters=10_000_000)),
    "overtrained": (healthy() | {"train/loss": flat(2.2)}, facts(parameters=300)),
}


@pytest.mark.parametrize("rule", FAULTY)
def test_each_rule_finds_its_own_fault(rule: str) -> None:
    check_finding(rule, *FAULTY[rule])
