"""Rules about the training text: each finds its own fault."""

from __future__ import annotations

from typing import Any

import pytest

from lab.runs.facts import Facts
from tests.diagnosis.runs import (
    changed,
    check_finding,
    facts,
    healthy,
)

FAULTY: dict[str, tuple[dict[str, dict[int, Any]], Facts]] = {
    "unshuffled": (changed("audit/consecutive", lambda s, v: 0.95), facts()),
    "repeated_batch": (healthy(), facts(data__repeat_first_batch=True)),
    "unseen_rows": (healthy() | {"audit/unseen_rows": {0: 0.8}}, facts(data={"vocab_size": 50257})),
}


@pytest.mark.parametrize("rule", FAULTY)
def test_each_rule_finds_its_own_fault(rule: str) -> None:
    check_finding(rule, *FAULTY[rule])
